import type { Session } from "../../agent/types";
import { Button } from "../../components/Button";
import { Choice } from "../../components/Choice";
import { useTheme } from "../../components/theme";
import { timeOfDay } from "../../format/time";
import { t } from "../../locales";

interface Props {
    site: string;
    beds: number;
    who: Session;
    order: "bed" | "risk";
    onOrder(order: "bed" | "risk"): void;
    onSignOut(): void;
    nowMs: number;
}

/** Where this is, what time the appliance has, who is signed in, and how the board is shown. */
export function WardHeader({ site, beds, who, order, onOrder, onSignOut, nowMs }: Props) {
    const { theme, choose } = useTheme();
    return (
        <header className="flex min-h-13 flex-wrap items-center gap-x-6 gap-y-2 px-3">
            <h1 className="font-semibold text-xl">{site || t.product}</h1>
            <p className="text-quiet">{t.ward.bedCount(beds)}</p>
            <time className="font-semibold text-xl">{timeOfDay(nowMs)}</time>
            <div className="ml-auto flex flex-wrap items-center gap-x-6 gap-y-2">
                <Choice
                    label={t.ward.sort}
                    value={order}
                    onChange={onOrder}
                    options={[
                        { value: "bed", label: t.ward.byBed },
                        { value: "risk", label: t.ward.byRisk },
                    ]}
                />
                <Choice
                    label={t.ward.theme}
                    value={theme === "night" ? "night" : "day"}
                    onChange={choose}
                    options={[
                        { value: "day", label: t.ward.day },
                        { value: "night", label: t.ward.night, testId: "theme-night" },
                    ]}
                />
                <span className="text-quiet">{who.display_name}</span>
                <Button onPress={onSignOut} testId="sign-out">
                    {t.signOut}
                </Button>
            </div>
        </header>
    );
}
