//! The port of un-flushed records is for roles: a signature that names the tenant, or nothing.

use loglake_api::internal::v1::tail_service_client::TailServiceClient;
use loglake_api::internal::v1::{CountsRequest, ServicesRequest, TailRequest, Want};
use loglake_auth::internal::{HEADER, InternalKey};
use loglake_auth::keys::ClusterSecret;
use loglake_integration::Dev;
use loglake_model::{TenantId, TenantName};
use tonic::{Code, Request, Status};

use crate::tenant::Tenant;
use crate::watch::{Said, Watch};

/// As the clock of this machine has it.
fn now_ns() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "a test")]
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(now.as_nanos()).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "a test")]
fn id(name: &str) -> TenantId {
    TenantId::from_credential(TenantName::parse(name).unwrap())
}

pub(crate) async fn is_for_roles(dev: &Dev, watch: &Watch, tenants: &[Tenant; 3]) {
    let url = format!("http://127.0.0.1:{}", dev.ports.tail);
    let ours = InternalKey::new(
        &ClusterSecret::from_text(&std::fs::read_to_string(dev.data().join("secret")).unwrap()).unwrap(),
    );
    let theirs = InternalKey::new(&ClusterSecret::from_bytes(&[7; 32]).unwrap());
    let [amber, beryl, _] = tenants;
    let good = ours.sign(&id(&amber.name), now_ns());
    let old = ours.sign(&id(&amber.name), now_ns() - 61_000_000_000);
    for (header, asked, expected) in [
        (None, &amber.name, Code::Unauthenticated),
        (Some(String::new()), &amber.name, Code::Unauthenticated),
        (Some(amber.token.clone()), &amber.name, Code::Unauthenticated),
        (Some(theirs.sign(&id(&amber.name), now_ns())), &amber.name, Code::Unauthenticated),
        (Some(old), &amber.name, Code::Unauthenticated),
        (Some(good.replace(&amber.name, &beryl.name)), &beryl.name, Code::Unauthenticated),
        (Some(ours.sign_operator(now_ns())), &amber.name, Code::Unauthenticated),
        (Some(good.clone()), &beryl.name, Code::PermissionDenied),
        (Some(good.clone()), &format!("{}/", amber.name), Code::PermissionDenied),
        (Some(good.clone()), &String::new(), Code::PermissionDenied),
    ] {
        for (call, answer) in calls(&url, header.as_deref(), asked).await {
            let refused = answer.expect_err("a stranger is let in");
            assert_eq!(refused.code(), expected, "{call} with {header:?} for {asked}: {refused:?}");
            watch.nobodys(call, &format!("{refused:?}"));
        }
    }
    // With the right one the tenant's own, and no more.
    for (call, answer) in calls(&url, Some(&good), &amber.name).await {
        let body = answer.unwrap_or_else(|status| panic!("{call}: {status:?}"));
        watch.of(&amber.name, call, &Said { status: 200, head: String::new(), body });
    }
}

/// All calls with `header`, about the tenant `asked`, of all that there may be.
async fn calls(url: &str, header: Option<&str>, asked: &str) -> Vec<(&'static str, Result<String, Status>)> {
    fn signed<T>(header: Option<&str>, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(header) = header {
            request.metadata_mut().insert(HEADER, header.parse().unwrap());
        }
        request
    }
    let wants: Vec<Want> = (0..4).map(|partition| Want { partition, from: 0, until: 0 }).collect();
    let mut answers = Vec::new();
    for incarnation in 0..3 {
        let (tenant, wants) = (asked.to_owned(), wants.clone());
        let mut client = TailServiceClient::connect(url.to_owned()).await.unwrap();
        let tail = TailRequest {
            tenant: tenant.clone(),
            incarnation,
            wants: wants.clone(),
            filter_json: "{}".to_owned(),
            end_ns: i64::MAX,
            limit: 10_000,
            max_bytes: 1 << 20,
            ..TailRequest::default()
        };
        let rows = async {
            let mut stream = client.tail(signed(header, tail)).await?.into_inner();
            let mut all = String::new();
            while let Some(answer) = stream.message().await? {
                // Lines are bytes, which Debug writes as text.
                all.push_str(&format!("{answer:?}"));
            }
            Ok(all)
        };
        answers.push(("Tail", rows.await));
        let services = ServicesRequest {
            tenant: tenant.clone(),
            incarnation,
            wants: wants.clone(),
            end_ns: i64::MAX,
            ..Default::default()
        };
        let said = client.services(signed(header, services)).await;
        answers.push(("Services", said.map(|answer| format!("{answer:?}"))));
        let counts = CountsRequest {
            tenant,
            incarnation,
            wants,
            filter_json: "{}".to_owned(),
            end_ns: i64::MAX,
            by_service: true,
            limit: 10_000,
            ..CountsRequest::default()
        };
        let said = client.counts(signed(header, counts)).await;
        answers.push(("Counts", said.map(|answer| format!("{answer:?}"))));
    }
    answers
}
