//! An agent in memory: the same replica code, a store that forgets.

use crate::program::{Hub, Place};
use hub_api::enrol::{ENROL, EnrolRequest, EnrolResponse, PROOF_PURPOSE, proof_bytes};
use protocol::conformance::Counting;
use protocol::memory::MemoryStore;
use protocol::session::{Session, Step, Summary};
use protocol::wire::{self, CONTENT_TYPE, Message};
use protocol::{Commit, Draft, Peer, PeerRole, Replica, Store, Where};
use record::id::{ReplicaId, ResourceId, RunId};
use record::ledger::{Act, Identity, Stretch};
use record::time::{Now, Timestamp};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};

pub const SESSION: &str = "/sync/v1/session";

pub struct Agent {
    pub replica: Replica,
    pub store: MemoryStore,
    pub enrolled: EnrolResponse,
    key: rcgen::KeyPair,
    entropy: Counting,
    clock: i64,
    hub: std::net::SocketAddr,
}

/// What an agent with this seed offers for a code.
pub fn asked(code: &str, seed: u8, key: &rcgen::KeyPair) -> EnrolRequest {
    let identity = Identity::from_seed(&[seed; 32]).unwrap();
    let (replica, seal_key) = (identity.replica().to_string(), hex::encode(identity.seal_public()));
    let proof = hex::encode(identity.sign(PROOF_PURPOSE, &proof_bytes(code, &replica, &seal_key)));
    let csr_pem = rcgen::CertificateParams::default().serialize_request(key).unwrap().pem().unwrap();
    EnrolRequest { code: code.to_owned(), replica, seal_key, csr_pem, proof, version: "0.1.0".to_owned() }
}

/// TLS that trusts one authority and shows one certificate.
pub fn tls(authority_pem: &str, own: Option<(&str, &rcgen::KeyPair)>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority_pem.as_bytes()).unwrap()).unwrap();
    let builder = ClientConfig::builder().with_root_certificates(roots);
    match own {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
            builder.with_client_auth_cert(chain, PrivateKeyDer::Pkcs8(key.serialize_der().into())).unwrap()
        }
    }
}

impl Agent {
    /// Adds the site by the command line and enrols.
    pub async fn enrol(place: &Place, hub: &Hub, site: &str, seed: u8) -> Self {
        let code = place.done(&["site", "add", site], "");
        let key = rcgen::KeyPair::generate().unwrap();
        let (status, body) = hub.post(ENROL, None, &serde_json::to_value(asked(&code, seed, &key)).unwrap()).await;
        assert_eq!(status, 200, "{body}");
        let enrolled: EnrolResponse = serde_json::from_value(body).unwrap();
        assert_eq!(enrolled.site, site);

        let (mut store, mut entropy) = (MemoryStore::default(), Counting(u64::from(seed) * 1_000_000));
        let clock = 1_795_000_000_000;
        let now = Now { wall: Timestamp::from_millis(clock), ..Now::default() };
        let identity = Identity::from_seed(&[seed; 32]).unwrap();
        let mut replica = Replica::open(&mut store, identity, RunId([seed; 8]), "test/1", now, &mut entropy).unwrap();
        let mut seal_public = [0; 32];
        hex::decode_to_slice(&enrolled.hub_seal_key, &mut seal_public).unwrap();
        let peer = Peer { replica: enrolled.hub_replica.parse().unwrap(), seal_public, role: PeerRole::Hub };
        replica.admit(&mut store, now, &mut entropy, peer).unwrap();
        Self { replica, store, enrolled, key, entropy, clock, hub: hub.http }
    }

    pub fn tls(&self) -> ClientConfig {
        tls(&self.enrolled.authority_pem, Some((&self.enrolled.certificate_pem, &self.key)))
    }

    pub fn client(&self) -> reqwest::Client {
        reqwest::Client::builder().tls_backend_preconfigured(self.tls()).build().unwrap()
    }

    fn now(&mut self) -> Now {
        self.clock += 1;
        Now { wall: Timestamp::from_millis(self.clock), ..Now::default() }
    }

    pub fn commit(&mut self, drafts: Vec<Draft>) {
        let now = self.now();
        let commit = Commit { act: Act::system(), drafts, ..Commit::default() };
        self.replica.commit(&mut self.store, now, &mut self.entropy, &commit).unwrap();
    }

    pub fn patient(&mut self, id: &str) {
        let resource = json!({"resourceType": "Patient", "id": id, "name": [{"family": "Okello"}], "gender": "female"});
        self.commit(vec![Draft::Create { place: Where::Site, resource }]);
    }

    pub fn alert(&mut self, patient: &str, id: &str) {
        let reference = format!("Patient/{patient}");
        let resource = json!({"resourceType": "DetectedIssue", "id": id, "status": "preliminary", "severity": "high",
            "patient": {"reference": reference}, "code": {"text": "NEWS2"}});
        self.commit(vec![Draft::Create { place: Where::Patient(patient.parse().unwrap()), resource }]);
    }

    pub fn shown(&mut self, kind: &str, id: &str) -> Value {
        let id: ResourceId = id.parse().unwrap();
        let document = self.store.begin().unwrap().document(kind, &id).unwrap().unwrap();
        serde_json::from_str(&document.json).unwrap()
    }

    /// All that the agent has written, by chain, with its payloads.
    pub fn stretches(&mut self) -> Vec<Stretch> {
        let heads = self.replica.shared_heads(self.replica.id());
        let mut tx = self.store.begin().unwrap();
        let mut all: Vec<Stretch> = heads.into_iter().flat_map(|head| tx.stretches(head.chain, 0, usize::MAX).unwrap()).collect();
        for stretch in &mut all {
            for (header, payload) in stretch.headers.iter().zip(&mut stretch.payloads) {
                *payload = tx.entry(header.chain(), header.seq).unwrap().unwrap().payload;
            }
        }
        all
    }

    /// A message that sends these stretches and says nothing else.
    pub fn pushing(&self, stretches: Vec<Stretch>) -> Message {
        Message { stretches, ..Message::default() }
    }

    /// Where the hub is.
    pub fn hub(&self) -> std::net::SocketAddr {
        self.hub
    }

    /// Its set digest and its state digest over what it shares with the hub.
    pub fn state(&mut self) -> (String, String) {
        let hub = self.hub_replica();
        let state = self.replica.state_digest(&mut self.store, hub).unwrap().unwrap().0;
        (self.replica.digest(hub).all.to_string(), state.to_string())
    }

    fn hub_replica(&self) -> ReplicaId {
        self.enrolled.hub_replica.parse().unwrap()
    }

    /// Sends one message; the status and the body.
    pub async fn send(&self, message: &Message) -> (u16, Vec<u8>) {
        let post = self.client().post(format!("https://{}{SESSION}", self.hub)).header("content-type", CONTENT_TYPE);
        let answer = post.body(wire::encode(message, self.replica.id(), self.hub_replica())).send().await.unwrap();
        (answer.status().as_u16(), answer.bytes().await.unwrap().to_vec())
    }

    pub async fn ask(&self, message: &Message) -> Message {
        let (status, body) = self.send(message).await;
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
        wire::decode(&body, self.hub_replica(), self.replica.id()).unwrap()
    }

    /// A whole session.
    pub async fn sync(&mut self) -> Summary {
        let now = self.now();
        let hub = self.hub_replica();
        let (mut session, mut message) = Session::open(&mut self.replica, &mut self.store, now, hub).unwrap();
        for _ in 0..100 {
            let reply = self.ask(&message).await;
            let now = self.now();
            match session.handle(&mut self.replica, &mut self.store, now, &reply).unwrap() {
                Step::Ask(next) => message = *next,
                Step::Done(summary) => return *summary,
            }
        }
        panic!("the session does not end");
    }
}
