import type { DeviceView } from "../../agent/types";
import { Shape, type ShapeName } from "../../components/Shape";
import { duration } from "../../format/time";
import { t } from "../../locales";

const SHAPES: Record<DeviceView["state"], ShapeName> = {
    connected: "circle",
    connecting: "dots",
    disconnected: "cross",
};

/** The devices reading for a bed; for one that is not heard, why and what to do next. */
export function DeviceList({ devices, nowMs }: { devices: DeviceView[]; nowMs: number }) {
    return (
        <section className="flex flex-col gap-1">
            <h3 className="font-semibold text-lg">{t.bed.devices}</h3>
            {devices.length === 0 && <p className="text-quiet">{t.bed.noDevice}</p>}
            <ul>
                {devices.map((device) => (
                    <li key={device.id} data-testid={`device-${device.id}`} className="border-line border-t py-1.5">
                        <p className="flex items-center gap-2">
                            <Shape name={SHAPES[device.state]} />
                            <strong>{t.device[device.state]}</strong>
                            <span className="truncate">{device.name}</span>
                        </p>
                        <p className="text-quiet text-sm">{details(device, nowMs)}</p>
                        {device.reason && <p>{device.reason}</p>}
                    </li>
                ))}
            </ul>
        </section>
    );
}

function details(device: DeviceView, nowMs: number): string {
    const parts = [device.protocol];
    if (device.last_data_ms != null) parts.push(t.bed.lastData(duration(nowMs - device.last_data_ms)));
    if (device.battery_percent != null) parts.push(t.bed.battery(device.battery_percent));
    return parts.join(" · ");
}
