use anyhow::{Context, Result};
use end_to_end::chance::Chance;
use end_to_end::disk::flip;
use end_to_end::wait::until;
use end_to_end::ward::{Plan, Ward};
use std::time::Duration;

/// Bytes of a page of the record.
const PAGE: u64 = 4096;
const FLIPS: u64 = 8;

/// One bit anywhere in the file: `verify` exits 1 and names it; a start says so, or does not start; nothing is served silently.
#[tokio::test]
async fn a_flipped_bit_in_the_record_is_named_by_verify_and_told_at_start() -> Result<()> {
    let mut chance = Chance::printed()?;
    let mut ward = Ward::open(&Plan::alone()).await?;
    tokio::time::sleep(Duration::from_secs(7)).await;
    ward.quiet().await?;
    let agent = &mut ward.clinic()?.agent;
    agent.stop().await?;
    agent.verify().await?;
    // Whoever opens and closes the record leaves nothing beside the file that would stand in for its pages.
    agent.command(&["user", "list"], "").await?.ok()?;
    agent.config.devices.clear();
    let file = agent.config.data.join("agent.db");
    let kept = std::fs::read(&file)?;
    let pages = kept.len() as u64 / PAGE;
    assert!(pages > 20, "{pages} pages");
    let (mut told, mut free) = (0, 0);
    for turn in 0..FLIPS {
        // The first page, which holds the salt of the key, then any.
        let page = if turn == 0 { 0 } else { chance.within(0..pages) };
        flip(&file, page * PAGE + chance.within(0..PAGE), u8::try_from(chance.within(0..8))?)?;
        let said = agent.command(&["verify"], "").await?;
        if said.status.success() {
            free += 1;
            println!("page {} of {pages} is not in use", page + 1);
            std::fs::write(&file, &kept)?;
            continue;
        }
        assert_eq!(said.status.code(), Some(1), "page {} of {pages}: {}{}", page + 1, said.out, said.err);
        println!("page {} of {pages}: {}", page + 1, said.err.trim());
        assert!(!said.err.contains("panic"), "{}", said.err);
        assert!(said.err.contains(&format!("page {}", page + 1)) || said.err.contains("entry "), "names nothing: {}", said.err);
        match agent.start().await {
            Err(error) => println!("  does not start: {}", format!("{error:#}").lines().last().unwrap_or_default()),
            Ok(()) => {
                let stranger = end_to_end::client::Client::stranger(agent.http())?;
                let (reason, _) = until("readiness tells of the damage", Duration::from_secs(20), async || {
                    let ready = stranger.send(reqwest::Method::GET, "/readyz", None).await?;
                    let reasons = ready.body["reasons"].as_array().cloned().unwrap_or_default();
                    Ok(reasons.iter().filter_map(|reason| reason.as_str()).find(|reason| reason.contains("damaged")).map(str::to_owned))
                })
                .await?;
                println!("  starts, and says: {reason}");
                told += 1;
                agent.kill().await?;
            }
        }
        for beside in ["agent.db-wal", "agent.db-shm"] {
            let _ = std::fs::remove_file(agent.config.data.join(beside));
        }
        std::fs::write(&file, &kept)?;
    }
    println!("of {FLIPS} flips, {free} hit nothing in use, {told} let it start");
    assert!(free < FLIPS / 2, "{free} of {FLIPS} went unseen");
    agent.verify().await.context("the record as it was")?;
    Ok(())
}
