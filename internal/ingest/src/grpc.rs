//! The gRPC surface: `loglake.ingest.v1.IngestService`, with reflection and health, which need no credential.

mod decompressed;
mod service;
mod stream;
mod unfinished;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use http_body_util::BodyExt as _;
use loglake_api::ingest::raw::ingest_service_server::IngestServiceServer;
use loglake_auth::{Access, Asked, Caller, Surface, access};
use loglake_model::Peer;
use tonic::Status;
use tonic::codec::CompressionEncoding;
use tonic::service::Routes;
use tonic_health::server::HealthReporter;

use self::decompressed::{Decompressed, take_encoding};
use self::service::Service;
use self::unfinished::Unfinished;
use crate::Error;
use crate::request_id::{RequestId, attach};
use crate::shared::{Shared, at_work, too_many_strangers, unwelcome, while_at_work};

/// The protocol's name in metrics.
const PROTOCOL: &str = "grpc";

pub(crate) use self::service::failure_text;

type Server = IngestServiceServer<Service>;

/// What health answers.
pub(crate) struct Health(HealthReporter);

impl Health {
    /// Says from now on that nothing is served.
    pub(crate) async fn stop(&self) {
        self.0.set_not_serving::<Server>().await;
        self.0.set_service_status("", tonic_health::ServingStatus::NotServing).await;
    }
}

/// Everything that is answered on the gRPC port.
pub(crate) async fn router(shared: &Arc<Shared>) -> Result<(Health, Router), Error> {
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_serving::<Server>().await;

    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(loglake_api::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let max_bytes = shared.config.max_body_bytes;
    let ingest = IngestServiceServer::new(Service::new(Arc::clone(shared)))
        .max_decoding_message_size(max_bytes)
        .accept_compressed(CompressionEncoding::Gzip)
        .accept_compressed(CompressionEncoding::Zstd);
    let routes = Routes::default()
        .add_service(ingest)
        .add_service(health)
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?);
    let guarded = routes.prepare().into_axum_router().layer(from_fn_with_state(Arc::clone(shared), authorize));
    Ok((Health(reporter), guarded.layer(from_fn(attach))))
}

/// Lets through who may make this call, before the body is looked at: strangers get nothing buffered.
async fn authorize(State(shared): State<Arc<Shared>>, mut request: Request, next: Next) -> Response {
    let access = access(Surface::IngestGrpc, request.method(), request.uri().path());
    if access == Access::Closed {
        // Also where a service that answers it were added and not said who may: the table decides.
        return Status::unimplemented("there is no such call here").into_http();
    }
    let (headers, peer) = (request.headers(), request.extensions().get::<Peer>());
    let call = (request.method().as_str(), request.uri().path());
    let asked = Asked { headers, peer, access, call, request_id: request_id(request.extensions()) };
    let work = match shared.auth.authorize(&asked, shared.clock.now_ns()) {
        Ok(caller) => match at_work(&mut request, caller) {
            Ok(work) => work,
            Err(refusal) => {
                shared.count(PROTOCOL, Some(refusal.kind), None);
                return refusal.to_grpc(request_id(request.extensions())).into_http();
            }
        },
        Err(error) => {
            shared.count(PROTOCOL, Some(error.kind()), None);
            return unwelcome(&error).to_grpc(request_id(request.extensions())).into_http();
        }
    };
    let id = request_id(request.extensions()).to_owned();
    // Streams cost memory, and nobody stands for those of strangers.
    let stranger = match work {
        Some(_) => None,
        None => match Arc::clone(&shared.strangers).try_acquire_owned() {
            Ok(permit) => Some(permit),
            Err(_) => return too_many_strangers().to_grpc(&id).into_http(),
        },
    };
    // For strangers nothing is decompressed: what needs no credential takes no compressed messages.
    let tenant = request.extensions().get::<Caller>().map(|caller| caller.tenant().name().clone());
    let encoded = tenant.and_then(|tenant| Some((tenant, take_encoding(request.headers_mut())?)));
    let request = request.map(|body| {
        let (most, budget) = (shared.config.max_body_bytes, &shared.unfinished);
        let body = match encoded {
            Some((tenant, encoding)) => {
                Body::new(Decompressed::new(body, &tenant, encoding, &shared.inflater, most, budget, &id))
            }
            None => body,
        };
        Body::new(Unfinished::new(body, budget, &id))
    });
    let answer = while_at_work(next.run(request).await, work);
    answer.map(|body| {
        Body::new(body.map_frame(move |frame| {
            let _going_on = &stranger;
            frame
        }))
    })
}

/// See [`crate::fuzzing::decompress`].
#[cfg(feature = "fuzzing")]
pub(crate) async fn decompress(
    tenant: &loglake_model::TenantName,
    encoding: &'static str,
    pieces: Vec<bytes::Bytes>,
    max_bytes: usize,
) -> Result<Vec<u8>, loglake_model::ErrorKind> {
    use hyper::body::Frame;
    use loglake_model::ErrorKind;

    use crate::budget::Budget;
    use crate::inflate::Inflater;

    let frames = pieces.into_iter().map(|piece| Ok::<_, std::convert::Infallible>(Frame::data(piece)));
    let body = Body::new(http_body_util::StreamBody::new(futures_util::stream::iter(frames)));
    let (inflater, budget) = (Inflater::new(), Budget::new(usize::MAX, None));
    let mut body = Decompressed::new(body, tenant, encoding, &inflater, max_bytes, &budget, "");
    let mut whole = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| match error.downcast_ref::<Status>().map(Status::code) {
            Some(tonic::Code::InvalidArgument) => ErrorKind::Invalid,
            Some(tonic::Code::OutOfRange) => ErrorKind::TooLarge,
            _ => ErrorKind::Internal,
        })?;
        // Copied, as the codec does: what is kept keeps its turn.
        whole.extend_from_slice(&frame.into_data().unwrap_or_default());
    }
    Ok(whole)
}

/// The id of the request with these `extensions`.
fn request_id(extensions: &http::Extensions) -> &str {
    extensions.get::<RequestId>().map_or("", |id| id.0.as_str())
}
