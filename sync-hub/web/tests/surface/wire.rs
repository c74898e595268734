use crate::clinic::Clinic;
use axum::Router;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use web::listener::{ConnectionLimits, serve};
use web::tls::server_config;

pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

impl Authority {
    pub fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Self { issuer: Issuer::new(params, key), certificate }
    }
    fn issue(&self, name: &str) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        (certificate.der().clone(), PrivateKeyDer::Pkcs8(key.serialize_der().into()))
    }
    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        roots
    }
    pub fn server(&self) -> Arc<ServerConfig> {
        let (certificate, key) = self.issue("localhost");
        server_config(vec![certificate], key, Some(self.roots())).unwrap()
    }
    pub fn client(&self, own: Option<(CertificateDer<'static>, PrivateKeyDer<'static>)>) -> TlsConnector {
        let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(self.roots());
        let config = match own {
            Some((certificate, key)) => builder.with_client_auth_cert(vec![certificate], key).unwrap(),
            None => builder.with_no_client_auth(),
        };
        TlsConnector::from(Arc::new(config))
    }
}

async fn start(bind: &str, router: Router, tls: Option<Arc<ServerConfig>>, limits: ConnectionLimits) -> (SocketAddr, oneshot::Sender<()>) {
    let listener = TcpListener::bind(bind).await.unwrap();
    let at = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    tokio::spawn(serve(listener, router, tls, limits, async {
        let _ = stopped.await;
    }));
    (at, stop)
}

async fn fetch(mut stream: impl AsyncRead + AsyncWrite + Unpin, path: &str) -> String {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").as_bytes()).await.unwrap();
    let mut all = Vec::new();
    let _ = timeout(Duration::from_secs(10), stream.read_to_end(&mut all)).await.expect("an answer in time");
    String::from_utf8_lossy(&all).into_owned()
}

async fn seal(connector: &TlsConnector, at: SocketAddr) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let name = ServerName::try_from("localhost").unwrap();
    connector.connect(name, TcpStream::connect(at).await?).await
}

#[tokio::test]
async fn tls_and_plain_share_one_port_and_a_client_certificate_is_seen() {
    let authority = Authority::new();
    let (at, _stop) = start("127.0.0.1:0", Clinic::open().router(), Some(authority.server()), ConnectionLimits::default()).await;

    let plain = fetch(TcpStream::connect(at).await.unwrap(), "/healthz").await;
    assert!(plain.starts_with("HTTP/1.1 200") && plain.contains("hillside"), "{plain}");

    let stranger = fetch(seal(&authority.client(None), at).await.unwrap(), "/sync/v1/peer").await;
    assert!(stranger.contains(r#"{"certificate":null,"secure":true}"#), "{stranger}");

    let own = authority.issue("hillside");
    let der: Vec<u8> = own.0.to_vec();
    let known = fetch(seal(&authority.client(Some(own)), at).await.unwrap(), "/sync/v1/peer").await;
    assert!(known.contains(&serde_json::to_string(&der).unwrap()), "{known}");
}

#[tokio::test]
async fn http2_is_spoken_where_the_client_offers_it() {
    let authority = Authority::new();
    let (at, _stop) = start("127.0.0.1:0", Clinic::open().router(), Some(authority.server()), ConnectionLimits::default()).await;
    let mut config = ClientConfig::clone(authority.client(None).config());
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stream = seal(&TlsConnector::from(Arc::new(config)), at).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(hyper_util::rt::TokioExecutor::new(), hyper_util::rt::TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = axum::http::Request::get("https://localhost/sync/v1/peer").body(axum::body::Body::empty()).unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!((response.status().as_u16(), response.version()), (200, axum::http::Version::HTTP_2));
}

#[tokio::test]
async fn a_client_certificate_of_another_root_is_turned_away() {
    let authority = Authority::new();
    let (at, _stop) = start("127.0.0.1:0", Clinic::open().router(), Some(authority.server()), ConnectionLimits::default()).await;
    let foreign = Authority::new().issue("hillside");
    // Under TLS 1.3 the client learns of it at its first read.
    let answer = match seal(&authority.client(Some(foreign)), at).await {
        Ok(stream) => fetch(stream, "/healthz").await,
        Err(_) => String::new(),
    };
    assert_eq!(answer, "");
}

#[tokio::test]
async fn plain_http_from_elsewhere_is_told_why_not_and_tls_is_served() {
    let Some(elsewhere) = own_address() else {
        println!("skipped: this machine has no address but loopback");
        return;
    };
    let authority = Authority::new();
    for tls in [None, Some(authority.server())] {
        let sealed = tls.is_some();
        let (at, _stop) = start("0.0.0.0:0", Clinic::open().router(), tls, ConnectionLimits::default()).await;
        let at = SocketAddr::new(elsewhere, at.port());
        for path in ["/healthz", "/fhir/R4/metadata"] {
            let refused = fetch(TcpStream::connect(at).await.unwrap(), path).await;
            assert!(refused.starts_with("HTTP/1.1 403") && refused.contains("use https://"), "{refused}");
        }
        if sealed {
            let served = fetch(seal(&authority.client(None), at).await.unwrap(), "/healthz").await;
            assert!(served.starts_with("HTTP/1.1 200"), "{served}");
        }
    }
}

/// The address this machine would use towards a network; nothing is sent.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_loopback() && !ip.is_unspecified()).then_some(ip)
}

#[tokio::test]
async fn clients_that_say_nothing_or_stop_midway_are_let_go() {
    let quick = Duration::from_millis(100);
    let limits = ConnectionLimits { first_byte: quick, handshake: quick, headers: quick, ..ConnectionLimits::default() };
    let (at, _stop) = start("127.0.0.1:0", Clinic::open().router(), Some(Authority::new().server()), limits).await;
    for opening in [&b""[..], b"GET /healthz HT", b"PRI * HT", &[0x16, 3, 1, 0, 200]] {
        let mut stream = TcpStream::connect(at).await.unwrap();
        stream.write_all(opening).await.unwrap();
        let mut rest = Vec::new();
        let ended = timeout(Duration::from_secs(5), stream.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "still open after {opening:?}");
    }
}

#[tokio::test]
async fn one_connection_too_many_waits_for_another_to_end() {
    let limits = ConnectionLimits { connections_max: 1, ..ConnectionLimits::default() };
    let (at, _stop) = start("127.0.0.1:0", Clinic::open().router(), None, limits).await;
    let mut first = TcpStream::connect(at).await.unwrap();
    first.write_all(b"GET ").await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let second = tokio::spawn(async move { fetch(TcpStream::connect(at).await.unwrap(), "/healthz").await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!second.is_finished());
    drop(first);
    assert!(second.await.unwrap().starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn shutdown_ends_idle_connections_and_frees_the_port() {
    let (at, stop) = start("127.0.0.1:0", Clinic::open().router(), None, ConnectionLimits::default()).await;
    let mut idle = TcpStream::connect(at).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut some = [0; 16];
    idle.read_exact(&mut some).await.unwrap();
    stop.send(()).unwrap();
    let mut rest = Vec::new();
    timeout(Duration::from_secs(5), idle.read_to_end(&mut rest)).await.expect("closed in time").unwrap();
    let freed = async {
        while TcpStream::connect(at).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(5), freed).await.expect("the port is free");
}
