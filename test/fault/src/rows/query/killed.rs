//! A query service is killed while a client pages; the client goes on by its cursor at another.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use serde_json::json;

use crate::judge::{Extent, judge};
use crate::lab::Lab;
use crate::load::Plan;
use crate::read::{Reader, Said};
use crate::rows::Outcome;
use crate::stack::Wanted;

pub(crate) async fn run(lab: &mut Lab) -> Result<Outcome> {
    let mut stack = lab.stack(&Wanted::default().of(1, 1, 2)).await?;
    let site = stack.site();
    let run = lab.begin(&site, Plan::default());
    // Of three tenants: at least two pages of this one's.
    run.more(2_000).await?;
    let reader = Reader::new(&site);
    let turns = if lab.is_short { 4 } else { 30 };
    for turn in 0..turns {
        // A walk of small pages by turns; the service of the page that is on its way is killed.
        let began = std::time::Instant::now();
        let mut body = json!({"limit": 150, "direction": "forward"});
        let mut items = Vec::new();
        let mut kills = 0;
        for page in 0.. {
            // Once the service is back, larger ones: else writers add rows faster than a slow machine pages through them.
            if page == 6 {
                body["limit"] = json!(2_000);
            }
            let at = (turn + page) % 2;
            let asking = reader.page(at, "alpha", &body);
            let said = if page == 1 {
                let victim = &mut stack.queries[at];
                let (said, ()) = tokio::join!(asking, async {
                    tokio::time::sleep(Duration::from_millis((turn * 3) as u64)).await;
                    victim.process.kill();
                });
                kills += 1;
                victim.start_again();
                said
            } else {
                asking.await
            };
            match said {
                Said::Page { items: more, cursor, is_complete: true, .. } => {
                    items.extend(more);
                    match cursor {
                        Some(cursor) => body["cursor"] = json!(cursor),
                        None => break,
                    }
                }
                Said::Unreadable(text) => bail!("unreadable: {text}"),
                // Asked again, at the other one.
                Said::Page { .. } | Said::Error(_) if began.elapsed() < Duration::from_secs(40) => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                other => bail!("no answer: {other:?}"),
            }
        }
        ensure!(kills == 1, "nothing was killed: {} rows", items.len());
        let wrong = judge(&run.ledger, 0, &items, true, Extent::Since(began));
        ensure!(wrong.is_empty(), "a walk over two services: {:?}", &wrong[..wrong.len().min(5)]);
    }
    for role in &mut stack.queries {
        role.wait_ready().await;
    }
    Ok(Outcome::new(format!("{turns} query services killed while a client paged"), run.finish().await?))
}
