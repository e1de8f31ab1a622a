//! SNS, CloudTrail and DynamoDB on loopback, over TLS.

use std::fs;
use std::io::{BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Instant;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::runtime_api::request;

/// Where operating systems keep the roots that they trust: Amazon Linux, Debian.
const BUNDLES: [&str; 2] = ["/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/certs/ca-certificates.crt"];

/// Takes every message, says when it has, and knows no event of the past.
pub struct Aws {
    pub url: String,
    /// A file with the roots that the operating system trusts and the one that vouches for this server: as many as a
    /// function in Lambda has to read.
    pub roots: PathBuf,
    /// How many they are.
    pub root_count: usize,
    /// When a message was taken.
    pub published: Receiver<Instant>,
}

impl Aws {
    pub fn start() -> Self {
        let (config, authority) = certified();
        let bundle = BUNDLES.iter().find_map(|file| fs::read_to_string(file).ok()).unwrap_or_default();
        let roots = PathBuf::from(concat!(env!("CARGO_TARGET_TMPDIR"), "/roots.pem"));
        let all = bundle + &authority;
        fs::write(&roots, &all).unwrap();

        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let (tell, published) = channel();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (config, tell) = (Arc::clone(&config), tell.clone());
                // A client that has ended closes its connection.
                thread::spawn(move || serve(stream.unwrap(), config, &tell).unwrap_or_default());
            }
        });
        Self { url, roots, root_count: all.matches("BEGIN CERTIFICATE").count(), published }
    }

    /// What makes a function talk to it.
    pub fn vars(&self) -> Vec<(&str, &str)> {
        let roots = self.roots.to_str().unwrap();
        vec![
            ("AWS_ENDPOINT_URL_SNS", &self.url),
            ("AWS_ENDPOINT_URL_CLOUDTRAIL", &self.url),
            ("AWS_ENDPOINT_URL_DYNAMODB", &self.url),
            ("SSL_CERT_FILE", roots),
            ("AWS_CA_BUNDLE", roots), // Python's
        ]
    }
}

/// A certificate for localhost by way of an intermediate authority, as AWS's are, and the root as PEM.
fn certified() -> (Arc<ServerConfig>, String) {
    let authority = |name: &str| {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params
    };
    let (root, root_key) = (authority("root"), KeyPair::generate().unwrap());
    let pem = root.self_signed(&root_key).unwrap().pem();
    let root = Issuer::new(root, root_key);
    let (between, between_key) = (authority("between"), KeyPair::generate().unwrap());
    let between_certificate = between.signed_by(&between_key, &root).unwrap();
    let between = Issuer::new(between, between_key);
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&key, &between).unwrap();

    let chain = vec![leaf.der().clone(), between_certificate.der().clone()];
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, PrivatePkcs8KeyDer::from(key.serialize_der()).into())
        .unwrap();
    (Arc::new(config), pem)
}

fn serve(stream: TcpStream, config: Arc<ServerConfig>, tell: &Sender<Instant>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let connection = ServerConnection::new(config).unwrap();
    let mut stream = BufReader::new(StreamOwned::new(connection, stream));
    while let Some((_, body)) = request(&mut stream)? {
        let published = body.starts_with(b"Action=");
        let (kind, answer) = if published {
            (
                "text/xml",
                "<PublishResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><PublishResult>\
                 <MessageId>94f20ce6-13c5-43a0-9a9e-ca52d816e90b</MessageId></PublishResult>\
                 <ResponseMetadata><RequestId>f187a3c1-376f-11df-8963-01868b7c937a</RequestId></ResponseMetadata>\
                 </PublishResponse>",
            )
        } else {
            // DynamoDB's too: every condition holds, and nothing is there.
            ("application/x-amz-json-1.1", r#"{"Events":[]}"#)
        };
        let length = answer.len();
        let whole = format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{answer}");
        stream.get_mut().write_all(whole.as_bytes())?;
        stream.get_mut().flush()?;
        if published {
            let _ = tell.send(Instant::now());
        }
    }
    Ok(())
}
