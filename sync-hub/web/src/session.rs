//! Who is signed in. Tokens are 256 random bits, kept only as SHA-256, only in memory: a restart signs everyone out.

use crate::accounts::{Account, Role};
use crate::given::{Entropy, EntropyUnavailable};
use record::time::{Monotonic, Now};
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// Bytes of a token; it travels as twice as many hex digits.
const TOKEN_LEN: usize = 32;
const SECOND_US: u64 = 1_000_000;

/// A signed-in person, as routes see them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Session {
    /// Names the session in audit entries; gives no access.
    pub id: String,
    /// The account.
    pub user: String,
    /// The name shown.
    pub display_name: String,
    /// What they are here for.
    pub role: Role,
}

/// What a client presents with each request. Its `Debug` says nothing.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Token(String);

impl Token {
    /// As sent in `Authorization: Bearer …`.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// How long sessions last and how many there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SessionLimits {
    /// Ends after so long without a request, in seconds.
    pub idle_s: u64,
    /// Ends after so long whatever happens, in seconds.
    pub absolute_s: u64,
    /// An account change reaches its running sessions after at most so long, in seconds.
    pub recheck_s: u64,
    /// Sessions of all users.
    pub sessions_max: usize,
    /// Sessions of one user; one more ends their longest unused.
    pub per_user_max: usize,
}

impl Default for SessionLimits {
    /// 30 min idle, 12 h at most, accounts looked at every 30 s, 1024 sessions, 16 a user.
    fn default() -> Self {
        Self { idle_s: 30 * 60, absolute_s: 12 * 3600, recheck_s: 30, sessions_max: 1024, per_user_max: 16 }
    }
}

/// Why no session could be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// [`SessionLimits::sessions_max`] are open.
    #[error("{0} people are signed in, which is the most there may be")]
    Full(usize),
    /// No randomness for a token.
    #[error(transparent)]
    Entropy(#[from] EntropyUnavailable),
}

/// A session found by its token.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// The session.
    pub session: Session,
    /// Its account has not been looked at for [`SessionLimits::recheck_s`].
    pub recheck: bool,
    /// When it ends if nothing more is asked, ms since 1970.
    pub expires_ms: i64,
}

struct Kept {
    session: Session,
    token_hash: [u8; 32],
    opened: Monotonic,
    touched: Monotonic,
    checked: Monotonic,
}

/// The open sessions of one program.
#[derive(Default)]
pub struct Sessions {
    limits: SessionLimits,
    kept: Mutex<HashMap<String, Kept>>,
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("limits", &self.limits).field("open", &self.lock().len()).finish()
    }
}

impl Sessions {
    /// None open yet.
    #[must_use]
    pub fn new(limits: SessionLimits) -> Self {
        Self { limits, kept: Mutex::default() }
    }

    /// Opens one for `account`, whose secret has been checked.
    ///
    /// # Errors
    /// Too many are open, or there is no randomness.
    pub fn open(&self, account: &Account, entropy: &dyn Entropy, now: Now) -> Result<(Token, Found), OpenError> {
        let mut bytes = [0; TOKEN_LEN];
        entropy.fill(&mut bytes)?;
        let token = Token(hex::encode(bytes));
        let token_hash = hash(&token.0);
        let session =
            Session { id: id_of(&token_hash), user: account.user.clone(), display_name: account.display_name.clone(), role: account.role };
        let mut kept = self.lock();
        kept.retain(|_, entry| self.ends_in_us(entry, now.mono) > 0);
        while kept.values().filter(|entry| entry.session.user == account.user).count() >= self.limits.per_user_max.max(1) {
            let mine = kept.iter().filter(|(_, entry)| entry.session.user == account.user);
            let Some(oldest) = mine.min_by_key(|(_, entry)| entry.touched).map(|(id, _)| id.clone()) else { break };
            kept.remove(&oldest);
        }
        if kept.len() >= self.limits.sessions_max {
            return Err(OpenError::Full(self.limits.sessions_max));
        }
        let entry = Kept { session: session.clone(), token_hash, opened: now.mono, touched: now.mono, checked: now.mono };
        let expires_ms = self.expires_ms(&entry, now);
        kept.insert(session.id.clone(), entry);
        Ok((token, Found { session, recheck: false, expires_ms }))
    }

    /// The session of that token, which counts as used; `None` if there is none or it has ended.
    #[must_use]
    pub fn find(&self, token: &str, now: Now) -> Option<Found> {
        if token.len() != 2 * TOKEN_LEN {
            return None;
        }
        let token_hash = hash(token);
        let id = id_of(&token_hash);
        let mut kept = self.lock();
        let entry = kept.get_mut(&id).filter(|entry| entry.token_hash == token_hash)?;
        if self.ends_in_us(entry, now.mono) == 0 {
            kept.remove(&id);
            return None;
        }
        entry.touched = entry.touched.max(now.mono);
        let recheck = now.mono.micros_since(entry.checked) >= self.limits.recheck_s.saturating_mul(SECOND_US);
        Some(Found { session: entry.session.clone(), recheck, expires_ms: self.expires_ms(entry, now) })
    }

    /// Whether that session still lasts; does not count as use.
    #[must_use]
    pub fn lasts(&self, id: &str, now: Now) -> bool {
        self.lock().get(id).is_some_and(|entry| self.ends_in_us(entry, now.mono) > 0)
    }

    /// When that session ends if nothing more is asked, ms since 1970.
    #[must_use]
    pub fn expires_ms_of(&self, id: &str, now: Now) -> Option<i64> {
        self.lock().get(id).map(|entry| self.expires_ms(entry, now))
    }

    /// Its account has been looked at and still allows it.
    pub fn checked(&self, id: &str, now: Now) {
        if let Some(entry) = self.lock().get_mut(id) {
            entry.checked = entry.checked.max(now.mono);
        }
    }

    /// Ends one session.
    pub fn end(&self, id: &str) {
        self.lock().remove(id);
    }

    /// Ends all sessions of one user: after a changed secret or role.
    pub fn end_user(&self, user: &str) {
        self.lock().retain(|_, entry| entry.session.user != user);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ends_in_us(&self, entry: &Kept, now: Monotonic) -> u64 {
        let left = |since: Monotonic, allowed_s: u64| allowed_s.saturating_mul(SECOND_US).saturating_sub(now.micros_since(since));
        left(entry.touched, self.limits.idle_s).min(left(entry.opened, self.limits.absolute_s))
    }

    fn expires_ms(&self, entry: &Kept, now: Now) -> i64 {
        now.wall.plus_micros(i64::try_from(self.ends_in_us(entry, now.mono)).unwrap_or(i64::MAX)).millis()
    }
}

fn hash(token: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    bytes
}

/// Half of the token's hash: enough to name it, useless to present.
fn id_of(token_hash: &[u8; 32]) -> String {
    hex::encode(token_hash.iter().take(16).copied().collect::<Vec<u8>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::SecretHash;
    use record::time::Timestamp;
    use std::sync::atomic::{AtomicU8, Ordering};

    struct Counting(AtomicU8);
    impl Entropy for Counting {
        fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyUnavailable> {
            bytes.fill(self.0.fetch_add(1, Ordering::Relaxed));
            Ok(())
        }
    }
    struct Dry;
    impl Entropy for Dry {
        fn fill(&self, _: &mut [u8]) -> Result<(), EntropyUnavailable> {
            Err(EntropyUnavailable)
        }
    }

    fn at(seconds: u64) -> Now {
        Now { wall: Timestamp::from_millis(seconds as i64 * 1000), mono: Monotonic(seconds * SECOND_US), ..Now::default() }
    }
    fn account(user: &str) -> Account {
        Account {
            user: user.into(),
            display_name: user.into(),
            role: Role::Nurse,
            secret_hash: SecretHash(String::new()),
            failures: 0,
            locked_until: None,
            disabled: false,
        }
    }

    #[test]
    fn a_session_ends_when_idle_and_use_prolongs_it_up_to_the_absolute_end() {
        let sessions = Sessions::default();
        let (token, found) = sessions.open(&account("amina"), &Counting(AtomicU8::new(0)), at(0)).unwrap();
        assert_eq!(found.expires_ms, 1_800_000);
        let mut now = 0;
        while now + 1799 < 12 * 3600 {
            now += 1799;
            assert!(sessions.find(token.reveal(), at(now)).is_some(), "at {now}");
        }
        assert!(sessions.find(token.reveal(), at(12 * 3600)).is_none());
        let (token, _) = sessions.open(&account("amina"), &Counting(AtomicU8::new(1)), at(50_000)).unwrap();
        assert!(sessions.find(token.reveal(), at(50_000 + 1800)).is_none());
    }

    #[test]
    fn garbage_finds_nothing() {
        let sessions = Sessions::default();
        let (token, _) = sessions.open(&account("amina"), &Counting(AtomicU8::new(7)), at(0)).unwrap();
        for garbage in ["", "x", &token.reveal()[1..], &token.reveal().to_uppercase().replace('0', "1"), &"f".repeat(64)] {
            assert!(sessions.find(garbage, at(0)).is_none());
        }
    }

    #[test]
    fn one_user_too_many_times_ends_their_longest_unused_and_others_are_refused_when_full() {
        let sessions = Sessions::new(SessionLimits { sessions_max: 2, per_user_max: 1, ..SessionLimits::default() });
        let dice = Counting(AtomicU8::new(0));
        let (first, _) = sessions.open(&account("amina"), &dice, at(0)).unwrap();
        let (second, _) = sessions.open(&account("amina"), &dice, at(1)).unwrap();
        assert!(sessions.find(first.reveal(), at(1)).is_none());
        assert!(sessions.find(second.reveal(), at(1)).is_some());
        sessions.open(&account("baraka"), &dice, at(1)).unwrap();
        assert_eq!(sessions.open(&account("chausiku"), &dice, at(1)).unwrap_err(), OpenError::Full(2));
        sessions.end_user("baraka");
        assert!(sessions.open(&account("chausiku"), &dice, at(1)).is_ok());
    }

    #[test]
    fn without_randomness_nobody_signs_in() {
        assert_eq!(Sessions::default().open(&account("amina"), &Dry, at(0)).unwrap_err(), OpenError::Entropy(EntropyUnavailable));
    }

    #[test]
    fn an_account_is_looked_at_again_after_a_while() {
        let sessions = Sessions::default();
        let (token, found) = sessions.open(&account("amina"), &Counting(AtomicU8::new(0)), at(0)).unwrap();
        assert!(!sessions.find(token.reveal(), at(29)).unwrap().recheck);
        assert!(sessions.find(token.reveal(), at(30)).unwrap().recheck);
        sessions.checked(&found.session.id, at(30));
        assert!(!sessions.find(token.reveal(), at(31)).unwrap().recheck);
    }
}
