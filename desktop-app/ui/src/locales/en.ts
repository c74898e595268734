// Every word a person reads, in one place. Functions take what varies; nothing is glued together outside this file.

import type { Failure } from "../agent/failure";

const plural = (n: number, one: string, many: string) => `${n} ${n === 1 ? one : many}`;
const megabytes = (bytes: number) => `${(bytes / 1_000_000).toFixed(1)} MB`;

export const en = {
    product: "Lamplight",
    starting: "Looking for the appliance…",
    unreachable: "The appliance does not answer. Trying again…",
    close: "Close",
    cancel: "Cancel",
    tryAgain: "Try again",
    user: (name: string) => `Signed in: ${name}`,
    signOut: "Sign out",
    test: "TEST",

    signIn: {
        title: "Sign in",
        place: (name: string) => `Sign in to ${name}`,
        user: "Name",
        secret: "PIN or password",
        submit: "Sign in",
        waiting: "Checking…",
        wrong: "Name or PIN is wrong. Check both and try again.",
        locked: (wait: string) => `Too many wrong tries. Locked for another ${wait}.`,
        needBoth: "Enter your name and your PIN.",
        ended: "You were signed out. Sign in to go on.",
        local: "Works without any network. Your PIN is checked on this appliance.",
        hub: "Hub operators and administrators.",
    },

    pad: {
        label: "Number pad",
        key: (digit: string) => `Digit ${digit}`,
        point: "Decimal point",
        erase: "Erase last digit",
        clear: "Clear",
    },

    ward: {
        title: "Ward",
        sort: "Order",
        byBed: "By bed",
        byRisk: "By risk",
        day: "Day",
        night: "Night",
        theme: "Light",
        noBeds: "No beds yet",
        noBedsHelp: "Add beds to this clinic's configuration under [[beds]] and start the agent again.",
        bedCount: (n: number) => plural(n, "bed", "beds"),
        loading: "Waiting for the first values…",
        lost: (time: string) => `No contact with the appliance since ${time}`,
        notSaving: (time: string) => `Nothing saved since ${time}`,
        shedding: (time: string) =>
            `This box's disk has been full since ${time}: the oldest recordings are being given up.`,
        shed: (what: { waves_bytes: number; numerics_bytes: number; held_elsewhere_bytes: number }) =>
            `Waveforms lost: ${megabytes(what.waves_bytes)}. Numbers lost: ${megabytes(what.numerics_bytes)}. Kept only at the hub: ${megabytes(what.held_elsewhere_bytes)}. Alerts and documents are kept. Free space on this box.`,
        lostHelp: "Values are hidden until it is back. Look at the bedside monitors. Trying again…",
    },

    bed: {
        open: (bed: string, name: string | undefined) => `Open bed ${bed}${name ? `, ${name}` : ", empty"}`,
        heading: (bed: string) => `Bed ${bed}`,
        empty: "Empty",
        emptyHelp: "No patient is placed in this bed.",
        closed: "Record closed",
        closedHelp: "This patient's record was erased or moved to another site. Say who lies here.",
        age: (years: number) => `${years} y`,
        noIdentifier: "no identifier",
        born: (date: string) => `born ${date}`,
        gender: { male: "M", female: "F", other: "other", unknown: "gender unknown" } as Record<string, string>,
        noValues: "Nothing measured yet",
        noDevice: "No device reads for this bed",
        wave: (label: string, bed: string) => `${label} wave, bed ${bed}`,
        waveGap: "no wave",
        panel: (bed: string) => `Bed ${bed}: chart and record`,
        now: "Measured",
        devices: "Devices",
        battery: (percent: number) => `battery ${percent} %`,
        lastData: (age: string) => `last data ${age} ago`,
        changed: "The patient in this bed has changed",
        changedHelp: (before: string, after: string) =>
            `You opened this bed for ${before}. It now shows ${after}. What you typed stays with ${before}.`,
        changedGo: (after: string) => `Continue with ${after}`,
        nobody: "nobody",
        points: (n: number) => plural(n, "point", "points"),
        value: "Value",
        parameter: "Parameter",
        pointsHeading: "Points",
        ageHeading: "Age",
    },

    device: { connected: "Connected", connecting: "Connecting", disconnected: "Disconnected" },

    status: {
        "sensor-off": "sensor off",
        "not-measured": "not measured",
        "out-of-range": "out of range",
        artefact: "disturbed signal",
        demo: "demo",
        fault: (what: string) => `fault: ${what}`,
    },

    score: {
        none: "not scored",
        risk: { low: "low", "low-medium": "low-medium", medium: "medium", high: "high" } as Record<string, string>,
        missing: (names: string[]) => `missing ${names.join(", ")}`,
        stale: (names: string[]) => `too old ${names.join(", ")}`,
        response: "Response",
        title: (name: string) => `${name} by parameter`,
        rules: (rules: string) => `Rules ${rules}. NEWS2 © Royal College of Physicians 2017.`,
    },

    alerts: {
        region: "Alerts",
        none: "No open alerts",
        all: (n: number) => `All alerts (${n})`,
        hide: "Hide list",
        more: (n: number) => `+${n} more for this bed`,
        acknowledge: "Acknowledge",
        acknowledgeLabel: (bed: string, text: string) => `Acknowledge bed ${bed}: ${text}`,
        saving: "Saving…",
        failed: (why: string) => `Not acknowledged: ${why}`,
        by: (name: string, time: string) => `✓ ${name} ${time}`,
        raised: (age: string) => `${age} ago`,
        severity: { high: "High", medium: "Medium", low: "Low" },
        unknownPatient: "no patient",
    },

    sync: {
        region: "Link to the hub",
        unenrolled: "No hub is set up. Everything is kept here.",
        online: "Hub reached",
        equal: (entries: string, time: string) => `all ${entries} entries proven equal ${time}`,
        differs: "this box and the hub hold different entries; the hub operator has been told",
        notYetProven: "not compared yet",
        offline: (since: string) => `Offline since ${since}`,
        waiting: (n: number) => plural(n, "change waiting", "changes waiting"),
        oldest: (age: string) => `oldest ${age}`,
        last: (time: string) => `last sync ${time}`,
        never: "never synced",
        revoked: (since: string) => `The hub ended this clinic's membership ${since}. Everything is kept here.`,
        now: "Sync now",
        running: "Syncing…",
        failed: (why: string) => `Sync did not start: ${why}`,
        unknown: "Not known while the appliance does not answer.",
    },

    record: {
        title: "Record observations",
        consciousness: "Consciousness",
        levels: [
            { value: 0, letter: "A", word: "Alert" },
            { value: 1, letter: "C", word: "Confusion" },
            { value: 2, letter: "V", word: "Voice" },
            { value: 3, letter: "P", word: "Pain" },
            { value: 4, letter: "U", word: "Unresponsive" },
        ],
        oxygen: "Breathing",
        air: "Air",
        onOxygen: "Oxygen",
        flow: "Oxygen flow",
        temperature: "Temperature",
        respiratory: "Respiratory rate",
        spo2: "SpO₂",
        pulse: "Pulse",
        systolic: "Systolic pressure",
        save: "Save",
        saving: "Saving…",
        saved: (time: string) => `Saved ${time}`,
        nothing: "Enter at least one value.",
        notANumber: (label: string) => `${label}: not a number`,
        unusual: (what: string) => `${what} is unusual. Press Save again if it is right.`,
        failed: (why: string) => `Not saved: ${why}`,
        forWhom: (name: string, identifier: string) => `for ${name}, ${identifier}`,
    },

    fleet: {
        title: "Fleet",
        hub: (name: string) => `Hub ${name}`,
        asOf: (time: string) => `as of ${time}`,
        version: (version: string) => `version ${version}`,
        live: (n: string) => `${n} live messages since start`,
        lost: (time: string) => `No contact with the hub since ${time}. What is shown is as of then. Trying again…`,
        empty: "No site yet",
        emptyHelp: "Add one here or with `sync-hub site add NAME`, then type its code at the agent.",
        add: "Add site",
        addTitle: "Add a site",
        name: "Name of the site",
        nameHelp: "1 to 64 of a–z, 0–9 and -",
        addGo: "Give out a code",
        codeTitle: (site: string) => `Code for ${site}`,
        codeHelp: "Shown once. At the clinic, run `edge-agent enroll` with it.",
        codeUntil: (time: string) => `Useless after ${time}.`,
        copy: "Copy",
        copied: "Copied",
        done: "Done",
        revoke: "Revoke…",
        revokeLabel: (site: string) => `Revoke ${site}`,
        revokeTitle: (site: string) => `End the membership of ${site}`,
        revokeHelp:
            "Its later entries go to quarantine for review. What the hub holds stays. The clinic keeps working alone.",
        revokeConfirm: (site: string) => `Type ${site} to confirm`,
        revokeReason: "Reason, kept in the audit",
        revokeGo: "Revoke",
        state: { "never-seen": "never seen", ok: "ok", late: "late", offline: "offline", revoked: "revoked" },
        digest: { unknown: "not compared", equal: "equal", differs: "differs" },
        columns: {
            state: "State",
            site: "Site",
            seen: "Last seen",
            lag: "Lag",
            queue: "Queue",
            version: "Version",
            digest: "Digest",
            entries: "Entries",
            latency: "Wire → hub",
            alerts: "Open alerts",
            incidents: "Incidents",
            actions: "Actions",
        },
        ago: (age: string) => `${age} ago`,
        oldest: (age: string) => `oldest ${age}`,
        never: "never",
        none: "none",
        unknown: "unknown",
        liveNow: "live",
        notLive: "not live",
        latency: (p50: string, p99: string) => `${p50} / ${p99} ms`,
        latencyHelp: "median / 99th percentile",
        alertCounts: (high: number, medium: number, low: number) => `${high} high, ${medium} medium, ${low} low`,
        counts: (n: number) => plural(n, "site", "sites"),
        incidents: "Open incidents",
        noIncidents: "No open incidents.",
        closedIncident: (by: string, reason: string) => `closed by ${by}: ${reason}`,
        incident: {
            "digest-differs": "Digests differ",
            fork: "Forked chain",
            clone: "Cloned agent",
            "broken-chain": "Broken chain",
            "unreadable-payload": "Unreadable payload",
            "absent-payload": "Missing payload",
            "revoked-writes": "Writes after revocation",
            "state-differs": "Documents shown differ",
            shed: "Given up on a full disk",
        } as Record<string, string>,
    },

    time: {
        seconds: (n: number) => `${n} s`,
        minutes: (n: number) => `${n} min`,
        hours: (n: number) => `${n} h`,
        days: (n: number) => `${n} d`,
        yesterday: (time: string) => `yesterday ${time}`,
    },

    failure: (failure: Failure): string => {
        switch (failure.kind) {
            case "unreachable":
                return "the appliance did not answer";
            case "signed-out":
                return "you are signed out";
            case "locked":
                return "too many wrong tries";
            case "refused":
                return failure.detail || failure.title;
        }
    },
};

/** The shape every locale file fills. */
export type Words = typeof en;
