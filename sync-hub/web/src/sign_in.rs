//! Signing in and out: `POST`, `GET` and `DELETE /api/v1/session`.

use crate::accounts::{Account, Accounts, AccountsError, Role};
use crate::audit::{Act, Action, Auditor};
use crate::given::{Clock, Entropy};
use crate::guard::Presented;
use crate::json::Json;
use crate::listener::Peer;
use crate::lockout::{self, Strangers};
use crate::problem::{Problem, ProblemDocument};
use crate::rate::Rate;
use crate::secret::{SECRET_MAX, Secret, verify_secret};
use crate::session::{Found, OpenError, Session, Sessions};
use axum::extract::State;
use axum::http::StatusCode;
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio::sync::{Mutex, Semaphore};
use tokio::task::spawn_blocking;
use utoipa::ToSchema;

/// Path of the session.
pub const SESSION: &str = "/api/v1/session";
/// Longest user name, in characters.
pub const USER_MAX: usize = 64;
/// Secrets hashed at the same time; each takes 19 MiB and a processor.
const HASHING_MAX: usize = 2;
/// Sign-ins that may wait for their turn.
const WAITING_MAX: usize = 32;
/// Sign-ins of one address: so many at once, then one a second.
const ADDRESS_BURST: u32 = 30;
const ADDRESS_INTERVAL_US: u64 = 1_000_000;
const ADDRESSES_MAX: usize = 4096;
/// Sign-ins for one name run one after the other, so that parallel guesses cannot outrun the count of failures.
const LANES: usize = 64;

/// What signs a person in.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    /// The user name, 1 to 64 characters.
    pub user: String,
    /// Password or PIN.
    #[schema(value_type = String)]
    pub secret: Secret,
}

/// A session just opened. Its `Debug` hides the token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SignedIn {
    /// Send it with every request as `Authorization: Bearer <token>`. Shown only here.
    #[schema(value_type = String)]
    pub token: crate::session::Token,
    /// The account.
    pub user: String,
    /// The name shown.
    pub display_name: String,
    /// What they are here for.
    pub role: Role,
    /// When it ends if nothing more is asked, ms since 1970.
    pub expires_ms: i64,
}

/// The running session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionView {
    /// The account.
    pub user: String,
    /// The name shown.
    pub display_name: String,
    /// What they are here for.
    pub role: Role,
    /// When it ends if nothing more is asked, ms since 1970.
    pub expires_ms: i64,
}

/// Where people sign in: accounts, sessions and the limits between them.
pub struct Desk {
    clock: Clock,
    entropy: Arc<dyn Entropy>,
    accounts: Arc<dyn Accounts>,
    auditor: Auditor,
    sessions: Arc<Sessions>,
    strangers: Strangers,
    rate: Rate,
    hashing: Semaphore,
    waiting: Semaphore,
    lanes: Vec<Mutex<()>>,
}

impl Desk {
    /// A desk over the program's accounts.
    #[must_use]
    pub fn new(clock: Clock, entropy: Arc<dyn Entropy>, accounts: Arc<dyn Accounts>, auditor: Auditor, sessions: Arc<Sessions>) -> Self {
        Self {
            clock,
            entropy,
            accounts,
            auditor,
            sessions,
            strangers: Strangers::default(),
            rate: Rate::new(ADDRESS_BURST, ADDRESS_INTERVAL_US, ADDRESSES_MAX),
            hashing: Semaphore::new(HASHING_MAX),
            waiting: Semaphore::new(WAITING_MAX),
            lanes: (0..LANES).map(|_| Mutex::new(())).collect(),
        }
    }

    /// The session a token stands for. Looks at its account again when that is due, and fails closed.
    pub async fn look_up(&self, token: &str) -> Presented {
        let over = || Presented::Refused(Problem::unauthorized("session-over", "this session has ended or never was: sign in again"));
        let Some(found) = self.sessions.find(token, (self.clock)()) else { return over() };
        if !found.recheck {
            return Presented::Session(found.session);
        }
        match self.account(&found.session.user).await {
            Ok(Some(account)) if !account.disabled && account.role == found.session.role => {
                self.sessions.checked(&found.session.id, (self.clock)());
                Presented::Session(found.session)
            }
            Ok(_) => {
                self.sessions.end(&found.session.id);
                over()
            }
            Err(problem) => Presented::Refused(problem),
        }
    }

    /// Whether a session still lasts.
    #[must_use]
    pub fn lasts(&self, session: &Session) -> bool {
        self.sessions.lasts(&session.id, (self.clock)())
    }

    async fn sign_in(&self, peer: Option<&Peer>, asked: SignIn) -> Result<SignedIn, Problem> {
        let user = asked.user.trim().to_owned();
        if user.is_empty() || user.chars().count() > USER_MAX {
            return Err(Problem::bad_request("wrong-shape", format!("a user name has 1 to {USER_MAX} characters")).about("user"));
        }
        if asked.secret.reveal().len() > SECRET_MAX {
            return Err(Problem::bad_request("wrong-shape", format!("a secret has at most {SECRET_MAX} bytes")).about("secret"));
        }
        let busy = |_| Problem::new(StatusCode::TOO_MANY_REQUESTS, "busy", "too many people are signing in at once").retry_after(1);
        let _place = self.waiting.try_acquire().map_err(busy)?;
        let _turn = match self.lanes.get(lane_of(&user)) {
            Some(lane) => Some(lane.lock().await),
            None => None,
        };

        let account = self.account(&user).await?;
        let now = (self.clock)().wall;
        let locked_until = account.as_ref().map_or_else(|| self.strangers.locked_until(&user), |account| account.locked_until);
        if let Some(seconds) = lockout::remaining_s(locked_until, now) {
            return Err(locked(seconds));
        }
        let usable = account.as_ref().filter(|account| !account.disabled);
        let kept = usable.map(|account| account.secret_hash.clone());
        let right = {
            let _processor = self.hashing.acquire().await.map_err(|_| Problem::of(StatusCode::SERVICE_UNAVAILABLE))?;
            let secret = asked.secret;
            blocking(move || verify_secret(&secret, kept.as_ref())).await?.map_err(|error| {
                tracing::error!(%error, "a kept secret cannot be checked");
                Problem::of(StatusCode::INTERNAL_SERVER_ERROR)
            })?
        };
        match usable {
            Some(account) if right => self.welcome(peer, account).await,
            _ => Err(self.turn_away(peer, &user, account.as_ref()).await?),
        }
    }

    async fn welcome(&self, peer: Option<&Peer>, account: &Account) -> Result<SignedIn, Problem> {
        if account.failures > 0 || account.locked_until.is_some() {
            self.note_attempt(account.user.clone(), 0, None).await?;
        }
        let (token, Found { session, expires_ms, .. }) =
            self.sessions.open(account, self.entropy.as_ref(), (self.clock)()).map_err(|error| {
                tracing::error!(%error, "no session can be opened");
                match error {
                    OpenError::Full(_) => Problem::unavailable("sessions-full", error.to_string()),
                    OpenError::Entropy(_) => Problem::of(StatusCode::INTERNAL_SERVER_ERROR),
                }
            })?;
        if let Err(problem) = self.auditor.note(Some(&session), peer, Act::done(Action::SignIn, Vec::new())).await {
            self.sessions.end(&session.id);
            return Err(problem);
        }
        let Session { user, display_name, role, .. } = session;
        Ok(SignedIn { token, user, display_name, role, expires_ms })
    }

    /// Counts the failure durably before it is answered. `Err` is a failure to do even that.
    async fn turn_away(&self, peer: Option<&Peer>, user: &str, account: Option<&Account>) -> Result<Problem, Problem> {
        let now = (self.clock)().wall;
        let failures = match account {
            Some(account) => {
                let failures = account.failures.saturating_add(1);
                self.note_attempt(account.user.clone(), failures, lockout::locked_until(failures, now)).await?;
                failures
            }
            None => self.strangers.note_failure(user, now),
        };
        let who = account.map(|account| account.user.clone());
        self.auditor.write(who, None, peer, Act::refused(Action::SignIn, Vec::new())).await?;
        Ok(match lockout::lock_s(failures) {
            0 => Problem::unauthorized("wrong-secret", "user name and secret do not belong together"),
            seconds => locked(seconds),
        })
    }

    async fn account(&self, user: &str) -> Result<Option<Account>, Problem> {
        let (accounts, user) = (Arc::clone(&self.accounts), user.to_owned());
        blocking(move || accounts.find(&user)).await?.map_err(|error| accounts_down(&error))
    }

    async fn note_attempt(&self, user: String, failures: u32, until: Option<record::time::Timestamp>) -> Result<(), Problem> {
        let accounts = Arc::clone(&self.accounts);
        blocking(move || accounts.note_attempt(&user, failures, until)).await?.map_err(|error| accounts_down(&error))
    }
}

fn locked(seconds: u64) -> Problem {
    let detail = format!("too many wrong secrets; nobody can sign in under this name for {seconds} s");
    Problem::new(StatusCode::LOCKED, "locked", detail).retry_after(seconds)
}

fn accounts_down(error: &AccountsError) -> Problem {
    tracing::error!(error = %error.0, "accounts cannot be read or written");
    Problem::unavailable("accounts-unavailable", "the accounts cannot be read or written")
}

fn lane_of(user: &str) -> usize {
    digest(&SHA256, user.to_lowercase().as_bytes()).as_ref().first().map_or(0, |byte| usize::from(*byte) % LANES)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    spawn_blocking(work).await.map_err(|_| Problem::of(StatusCode::INTERNAL_SERVER_ERROR))
}

/// Opens a session.
///
/// # Errors
/// 401 wrong name or secret; 423 locked, for how long; 429 too many from this address; 503 accounts or audit not working.
#[utoipa::path(post, operation_id = "signIn", path = SESSION, tag = "session", request_body = SignIn, security(()), responses(
    (status = 200, body = SignedIn),
    (status = 401, body = ProblemDocument, description = "user name and secret do not belong together"),
    (status = 423, body = ProblemDocument, description = "locked; `retry_after_s` says for how long"),
    (status = 429, body = ProblemDocument, description = "too many tries from this address"),
))]
pub async fn post(
    State(desk): State<Arc<Desk>>,
    peer: Option<axum::Extension<Peer>>,
    request: axum::extract::Request,
) -> Result<Json<SignedIn>, Problem> {
    let peer = peer.map(|axum::Extension(peer)| peer);
    let address = peer.as_ref().map_or(std::net::Ipv4Addr::UNSPECIFIED.into(), |peer| peer.addr.ip());
    // Before the body is read: garbage counts as a try.
    desk.rate.take(address, (desk.clock)().mono).map_err(|seconds| {
        Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-tries", "too many tries from this address").retry_after(seconds)
    })?;
    let Json(asked) = <Json<SignIn> as axum::extract::FromRequest<()>>::from_request(request, &()).await?;
    desk.sign_in(peer.as_ref(), asked).await.map(Json)
}

/// The running session.
///
/// # Errors
/// 401 without one.
#[utoipa::path(get, operation_id = "getSession", path = SESSION, tag = "session", responses((status = 200, body = SessionView), (status = 401, body = ProblemDocument)))]
pub async fn get(State(desk): State<Arc<Desk>>, session: Session) -> Result<Json<SessionView>, Problem> {
    let expires_ms = desk.sessions.expires_ms_of(&session.id, (desk.clock)());
    let Session { user, display_name, role, .. } = session;
    let expires_ms = expires_ms.ok_or_else(|| Problem::unauthorized("session-over", "this session has ended"))?;
    Ok(Json(SessionView { user, display_name, role, expires_ms }))
}

/// Ends the running session.
///
/// # Errors
/// 401 without one; 503 when it cannot be audited (it has ended all the same).
#[utoipa::path(delete, operation_id = "signOut", path = SESSION, tag = "session", responses((status = 204), (status = 401, body = ProblemDocument)))]
pub async fn delete(State(desk): State<Arc<Desk>>, peer: Option<axum::Extension<Peer>>, session: Session) -> Result<StatusCode, Problem> {
    desk.sessions.end(&session.id);
    desk.auditor.note(Some(&session), peer.as_deref(), Act::done(Action::SignOut, Vec::new())).await?;
    Ok(StatusCode::NO_CONTENT)
}
