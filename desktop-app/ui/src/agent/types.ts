// Short names for the generated types: the contract is Rust's, this file only re-exports it.
import type { components as agent } from "../generated/agent";
import type { components as hub } from "../generated/hub";

type Agent = agent["schemas"];
type Hub = hub["schemas"];

export type Session = Agent["SignedIn"];
export type Health = Agent["Health"];
export type WardView = Agent["WardView"];
export type BedView = Agent["BedView"];
export type PatientView = Agent["PatientView"];
export type NumericView = Agent["NumericView"];
export type WaveView = Agent["WaveView"];
export type ScoreView = Agent["ScoreView"];
export type DeviceView = Agent["DeviceView"];
export type DeviceAlarmView = Agent["DeviceAlarmView"];
export type AlertView = Agent["AlertView"];
export type Severity = Agent["Severity"];
export type SyncView = Agent["SyncView"];
export type LiveMessage = Agent["LiveMessage"];
export type WaveHeader = Agent["WaveHeader"];
export type Observe = Agent["Observe"];
export type ObservedValue = Agent["ObservedValue"];
export type Saved = Agent["Saved"];

export type FleetView = Hub["FleetView"];
export type SiteRow = Hub["SiteRow"];
export type SiteState = Hub["SiteState"];
export type DigestState = Hub["DigestState"];
export type SiteCode = Hub["SiteCode"];
export type IncidentView = Hub["IncidentView"];
