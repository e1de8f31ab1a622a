//! What all calls to AWS share: one HTTP client, one set of root certificates, one cache of credentials.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_config::{BehaviorVersion, SdkConfig};
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_runtime_api::client::http::{HttpConnectorSettings, SharedHttpConnector, http_client_fn};
use tokio::sync::OnceCell;

/// How long to wait for a connection, TLS included, of whichever service: a lost first packet is sent again after one
/// second.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// The SDK's settings, from which each service's client is made.
///
/// They are loaded, and the root certificates read, when the first client is needed: almost no invocation needs one. A
/// clone is the same settings.
///
/// Root certificates are the operating system's, or those that `SSL_CERT_FILE` and `SSL_CERT_DIR` name.
#[derive(Debug, Clone, Default)]
pub struct Aws {
    config: Arc<OnceCell<SdkConfig>>,
    connector: Arc<OnceLock<SharedHttpConnector>>,
}

impl Aws {
    /// The settings.
    pub async fn config(&self) -> &SdkConfig {
        let load = || {
            let connector = self.connector();
            let client = http_client_fn(move |_, _| connector.clone());
            aws_config::defaults(BehaviorVersion::latest()).http_client(client).load()
        };
        self.config.get_or_init(load).await
    }

    /// The one connector of every service, and of what is no service.
    ///
    /// The SDK's own clients read the root certificates twice for each service. Cryptography is ring's: aws-lc, the SDK's
    /// default, spends 40 ms of CPU in each new process on collecting entropy besides the kernel's. docs/performance.md has
    /// the figures.
    pub fn connector(&self) -> SharedHttpConnector {
        let make = || {
            let settings = HttpConnectorSettings::builder().connect_timeout(CONNECT_TIMEOUT).build();
            let tls = Provider::rustls(CryptoMode::Ring);
            SharedHttpConnector::new(Connector::builder().connector_settings(settings).tls_provider(tls).build())
        };
        self.connector.get_or_init(make).clone()
    }
}
