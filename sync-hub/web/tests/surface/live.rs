use crate::clinic::{Clinic, USER};
use crate::wire::Authority;
use axum::body::Bytes;
use futures_util::{SinkExt, StreamExt};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use web::listener::{ConnectionLimits, serve};
use web::live::{Live, LiveFrame, LiveLimits, LiveSource, SESSION_OVER};

/// Counts the pictures it gives.
struct Ward {
    frames: broadcast::Sender<Arc<LiveFrame>>,
    pictures: AtomicUsize,
}

impl LiveSource for Ward {
    fn snapshot(&self) -> LiveFrame {
        let n = self.pictures.fetch_add(1, Ordering::SeqCst) + 1;
        LiveFrame::Text(format!("picture {n}").into())
    }
    fn subscribe(&self) -> broadcast::Receiver<Arc<LiveFrame>> {
        self.frames.subscribe()
    }
}

struct Open {
    clinic: Arc<Clinic>,
    ward: Arc<Ward>,
    at: SocketAddr,
    token: String,
}

async fn open(limits: LiveLimits) -> Open {
    let clinic = Clinic::open();
    let ward = Arc::new(Ward { frames: broadcast::Sender::new(8), pictures: AtomicUsize::new(0) });
    let live = Live { source: Arc::clone(&ward) as _, limits, origins: Vec::new() };
    let router = clinic.router_with(None, Some(live));
    let token = clinic.token(&router).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, router, None, ConnectionLimits::default(), std::future::pending()));
    Open { clinic, ward, at, token }
}

impl Open {
    async fn connect(&self, protocols: &str, origin: Option<&str>) -> Result<WebSocketStream<TcpStream>, Error> {
        let mut request = format!("ws://{}/api/v1/live", self.at).into_client_request().unwrap();
        if !protocols.is_empty() {
            request.headers_mut().insert("sec-websocket-protocol", protocols.parse().unwrap());
        }
        if let Some(origin) = origin {
            request.headers_mut().insert("origin", origin.parse().unwrap());
        }
        let stream = TcpStream::connect(self.at).await.unwrap();
        let (socket, response) = tokio_tungstenite::client_async(request, stream).await?;
        assert_eq!(response.headers()["sec-websocket-protocol"], "lamplight.live.v1");
        Ok(socket)
    }

    async fn signed_in(&self) -> WebSocketStream<TcpStream> {
        self.connect(&format!("lamplight.live.v1, lamplight.token.{}", self.token), None).await.unwrap()
    }
}

async fn next(socket: &mut WebSocketStream<TcpStream>) -> Message {
    timeout(Duration::from_secs(10), socket.next()).await.expect("a message in time").expect("an open stream").expect("a message")
}

fn refused_with(result: Result<WebSocketStream<TcpStream>, Error>) -> u16 {
    match result {
        Err(Error::Http(response)) => response.status().as_u16(),
        other => panic!("expected a refusal, got {other:?}"),
    }
}

#[tokio::test]
async fn a_client_gets_the_picture_then_what_changes() {
    let open = open(LiveLimits::default()).await;
    let mut socket = open.signed_in().await;
    assert_eq!(next(&mut socket).await, Message::text("picture 1"));
    open.ward.frames.send(Arc::new(LiveFrame::Text("bed 4".into()))).unwrap();
    open.ward.frames.send(Arc::new(LiveFrame::Binary(Bytes::from_static(&[1, 2])))).unwrap();
    assert_eq!(next(&mut socket).await, Message::text("bed 4"));
    assert_eq!(next(&mut socket).await, Message::binary(vec![1, 2]));
    assert_eq!(open.clinic.notes.lock().unwrap().last().unwrap().action, web::audit::Action::Watch);
}

#[tokio::test]
async fn the_stream_opens_over_tls_too() {
    let clinic = Clinic::open();
    let ward = Arc::new(Ward { frames: broadcast::Sender::new(8), pictures: AtomicUsize::new(0) });
    let router = clinic.router_with(None, Some(Live { source: ward, limits: LiveLimits::default(), origins: Vec::new() }));
    let token = clinic.token(&router).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let authority = Authority::new();
    tokio::spawn(serve(listener, router, Some(authority.server()), ConnectionLimits::default(), std::future::pending()));

    let stream = TcpStream::connect(at).await.unwrap();
    let sealed = authority.client(None).connect("localhost".try_into().unwrap(), stream).await.unwrap();
    let mut request = format!("wss://localhost:{}/api/v1/live", at.port()).into_client_request().unwrap();
    let offer = format!("lamplight.live.v1, lamplight.token.{token}");
    request.headers_mut().insert("sec-websocket-protocol", offer.parse().unwrap());
    let (mut socket, _) = tokio_tungstenite::client_async(request, sealed).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("picture 1"));
}

#[tokio::test]
async fn without_a_session_or_from_another_page_nothing_opens() {
    let open = open(LiveLimits::default()).await;
    assert_eq!(refused_with(open.connect("lamplight.live.v1", None).await), 401);
    assert_eq!(refused_with(open.connect("lamplight.live.v1, lamplight.token.ffff", None).await), 401);
    let offer = format!("lamplight.live.v1, lamplight.token.{}", open.token);
    assert_eq!(refused_with(open.connect(&offer, Some("http://evil.example")).await), 403);
    assert_eq!(refused_with(open.connect(&format!("lamplight.token.{}", open.token), None).await), 400);
    assert!(open.connect(&offer, Some(&format!("http://{}", open.at))).await.is_ok());
    open.clinic.audit_fails.store(true, Ordering::SeqCst);
    assert_eq!(refused_with(open.connect(&offer, None).await), 503);
}

#[tokio::test]
async fn a_slow_client_is_given_a_fresh_picture() {
    let open = open(LiveLimits::default()).await;
    let mut socket = open.signed_in().await;
    assert_eq!(next(&mut socket).await, Message::text("picture 1"));
    // More than the sockets between them can hold, so that the queue overflows while nobody reads.
    let wave = Arc::new(LiveFrame::Binary(Bytes::from(vec![0; 1 << 20])));
    for _ in 0..64 {
        open.ward.frames.send(Arc::clone(&wave)).unwrap();
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let mut waves = 0;
    loop {
        match next(&mut socket).await {
            Message::Binary(_) => waves += 1,
            Message::Text(text) => break assert_eq!(text.as_str(), "picture 2"),
            _ => {}
        }
    }
    assert!(waves < 64, "the queue was dropped");
    open.ward.frames.send(Arc::new(LiveFrame::Text("bed 4".into()))).unwrap();
    while next(&mut socket).await != Message::text("bed 4") {}
}

#[tokio::test]
async fn the_stream_closes_when_the_session_is_over() {
    let limits = LiveLimits { session_check: Duration::from_millis(20), ..LiveLimits::default() };
    let open = open(limits).await;
    let mut socket = open.signed_in().await;
    assert_eq!(next(&mut socket).await, Message::text("picture 1"));
    open.clinic.sessions.end_user(USER);
    let Message::Close(Some(frame)) = next(&mut socket).await else { panic!("expected a close") };
    assert_eq!(u16::from(frame.code), SESSION_OVER);
}

#[tokio::test]
async fn a_client_that_answers_no_ping_is_let_go() {
    let limits = LiveLimits { ping: Duration::from_millis(50), ..LiveLimits::default() };
    let open = open(limits).await;
    let mut stream = TcpStream::connect(open.at).await.unwrap();
    let head = format!(
        "GET /api/v1/live HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-protocol: lamplight.live.v1, lamplight.token.{}\r\n\r\n",
        open.token
    );
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut all = Vec::new();
    timeout(Duration::from_secs(5), stream.read_to_end(&mut all)).await.expect("let go in time").unwrap();
    assert!(String::from_utf8_lossy(&all).contains("no answer to a ping"));
}

#[tokio::test]
async fn no_more_screens_open_than_allowed_and_a_long_message_ends_one() {
    let open = open(LiveLimits { clients_max: 1, ..LiveLimits::default() }).await;
    let mut socket = open.signed_in().await;
    let offer = format!("lamplight.live.v1, lamplight.token.{}", open.token);
    assert_eq!(refused_with(open.connect(&offer, None).await), 503);
    socket.send(Message::text("x".repeat(web::live::INCOMING_MAX + 1))).await.unwrap();
    let ended = async { while let Some(Ok(_)) = socket.next().await {} };
    timeout(Duration::from_secs(5), ended).await.expect("ended in time");
    let freed = async {
        while open.connect(&offer, None).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(5), freed).await.expect("its seat is free");
}
