use crate::agent::Agent;
use crate::program::{PIN, Place, USER, anywhere};
use serde_json::{Value, json};

#[test]
fn an_unknown_configuration_key_is_named_with_its_file() {
    let place = Place::new();
    place.configure("bindd = 1\n");
    let said = place.refused(&["run"], "");
    assert!(said.contains("bindd") && said.contains("hub.toml"), "{said}");
    assert!(!place.data().exists(), "nothing is made before the configuration is read");
}

#[test]
fn a_database_that_is_not_reached_is_named_with_what_to_do_and_without_its_password() {
    let place = Place::new();
    place.configure("store = \"postgres://hub:topsecret@127.0.0.1:1/ward\"\n");
    for command in [["site", "list"].as_slice(), &["verify"], &["site", "add", "hillside"]] {
        let said = place.refused(command, "");
        for word in ["database ward at 127.0.0.1", "not reached", "systemctl", "hub.toml"] {
            assert!(said.contains(word) && !said.contains("topsecret"), "{command:?}: {said}");
        }
    }
    place.configure("store = \"mysql://hub:topsecret@127.0.0.1/ward\"\n");
    let said = place.refused(&["run"], "");
    assert!(said.contains("mysql://") && said.contains("hub.toml") && !said.contains("topsecret"), "{said}");
}

#[tokio::test]
async fn a_wrong_password_and_a_missing_role_are_refused_by_name() {
    let place = Place::new();
    let hub = place.start_with_operator();
    let (status, problem) = hub.sign_in(USER, "0852").await;
    assert_eq!(status, 401, "{problem}");
    let (status, problem) = hub.get("/api/v1/fleet", "nonsense").await;
    assert_eq!(status, 401, "{problem}");
    // Accounts and sites are made while the hub runs.
    place.done(&["user", "add", "baraka", "--role", "nurse", "--pin-stdin"], "7301");
    let (_, session) = hub.sign_in("baraka", "7301").await;
    let nurse = session["token"].as_str().unwrap();
    for path in ["/api/v1/fleet", "/api/v1/incidents"] {
        let (status, problem) = hub.get(path, nurse).await;
        assert_eq!((status, problem["type"].as_str()), (403, Some("urn:lamplight:problem:role")), "{problem}");
    }
    let (status, problem) = hub.post("/api/v1/sites", Some(nurse), &json!({"site": "x"})).await;
    assert_eq!(status, 403, "{problem}");
    let (status, problem) = hub.post("/api/v1/sites", Some(&hub.token().await), &json!({"site": "x", "more": 1})).await;
    assert_eq!((status, problem["field"].as_str()), (400, Some("more")), "{problem}");
    assert!(place.refused(&["user", "add", "baraka", "--pin-stdin"], "7301").contains("baraka"), "twice");
    assert!(place.refused(&["user", "add", "chausiku", "--pin-stdin"], "1234").contains("1234"), "a PIN guessed first");
}

#[tokio::test]
async fn the_program_serves_what_it_promises_and_stops_when_told() {
    let place = Place::new();
    let hub = place.start_with_operator();
    let token = hub.token().await;
    let (status, health) = hub.get("/healthz", "").await;
    assert_eq!((status, health["program"].as_str(), health["name"].as_str()), (200, Some("sync-hub"), Some("test")));
    let (status, ready) = hub.get("/readyz", "").await;
    assert_eq!(status, 200, "{ready}");
    let (status, statement) = hub.get("/fhir/R4/metadata", "").await;
    assert_eq!((status, statement["resourceType"].as_str()), (200, Some("CapabilityStatement")));
    let (_, served) = hub.get("/api/v1/openapi.json", &token).await;
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_sync-hub")).arg("openapi").output().unwrap();
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(served, printed);
    for path in ["/api/v1/fleet", "/api/v1/sites/{site}/revoke", "/api/v1/alerts/{id}/acknowledge", "/sync/v1/enrol", "/api/v1/session"] {
        assert!(printed["paths"].get(path).is_some(), "{path}");
    }
    let second = place.refused(&["run"], "");
    assert!(second.contains("in use"), "{second}");
    assert_eq!(hub.stop(), Some(0));
}

#[tokio::test]
async fn a_backup_brings_everything_back_and_is_proven() {
    let place = Place::new();
    let hub = place.start_with_operator();
    let mut agent = Agent::enrol(&place, &hub, "hillside", 1).await;
    agent.patient("p1");
    agent.sync().await;
    let copy = place.directory.path().join("copy");
    let copy = copy.to_str().unwrap();
    place.done(&["backup", copy], "");
    assert!(place.refused(&["backup", copy], "").contains("copy"), "a backup replaces nothing");
    agent.patient("p2");
    agent.sync().await;
    assert_eq!(hub.stop(), Some(0));
    let verified: Value = serde_json::from_str(&place.done(&["verify"], "")).unwrap();
    assert!(verified["entries"].as_u64().unwrap() > agent.replica.written(), "its entries and the hub's own audit");
    assert!(!anywhere(&place.data(), b"Okello"), "a patient's name lies open on disk");

    assert!(place.refused(&["restore", copy], "").contains("already there"));
    for file in std::fs::read_dir(place.data()).unwrap() {
        let path = file.unwrap().path();
        if path.file_name().unwrap().to_string_lossy().contains(".db") {
            std::fs::remove_file(path).unwrap();
        }
    }
    place.done(&["restore", copy], "");
    place.done(&["verify"], "");
    let hub = place.start();
    let (status, _) = hub.sign_in(USER, PIN).await;
    assert_eq!(status, 200, "accounts are in the backup");
}

#[tokio::test]
async fn a_damaged_backup_is_refused_and_leaves_nothing_behind() {
    let place = Place::new();
    place.done(&["user", "add", USER, "--pin-stdin"], PIN);
    place.done(&["site", "add", "hillside"], "");
    let copy = place.directory.path().join("copy");
    place.done(&["backup", copy.to_str().unwrap()], "");
    let file = copy.join("hub.db");
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    for name in ["hub.db", "hub.db-wal", "hub.db-shm", "fleet.db", "fleet.db-wal", "fleet.db-shm"] {
        let _ = std::fs::remove_file(place.data().join(name));
    }
    assert!(place.refused(&["restore", copy.to_str().unwrap()], "").contains("hub.db"));
    assert!(!place.data().join("hub.db").exists() && !place.data().join("fleet.db").exists());
}
