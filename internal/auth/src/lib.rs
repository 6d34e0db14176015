//! Who is calling, for whom, and what they may do: credentials become a [`Caller`] with a tenant and scopes.
//!
//! A [`loglake_model::TenantId`] is made only in this crate, out of a credential that was checked. Start with
//! [`Authenticator::authorize`] and the table of who may call what, [`ROUTES`]. How roles prove themselves to one another is in [`internal`], the keys that come from
//! the cluster's secret in [`keys`], the tokens of clients' sessions in [`session`]. People come with the tokens of an issuer, see
//! [`Oidc`]. Tenants and tokens that can be changed while
//! everything runs are in [`registry`], and how much each tenant may take in [`limits`].

mod access;
mod audit;
mod authenticator;
mod caller;
mod certificate;
mod config;
mod credential;
mod error;
mod hex;
pub mod internal;
pub mod keys;
pub mod limits;
mod listen;
mod oidc;
pub mod registry;
mod scope;
pub mod session;
mod token;

pub use access::{Access, ROUTES, Route, Surface, access, allowed};
pub use audit::{Audit, AuditTrail, Deed};
pub use authenticator::{Asked, Authenticator};
pub use caller::Caller;
pub use certificate::{Certificate, CertificateConfig, certificates_from};
pub use config::{TokenConfig, tokens_from};
pub use error::Error;
pub use listen::require_loopback;
pub use oidc::{Oidc, OidcConfig};
pub use registry::{Appended, Ledger, LedgerError, Registry, TenantInfo, TokenInfo};
pub use scope::Scope;
pub use token::{NewToken, Token, new_token};
