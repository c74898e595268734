import { Button } from "react-aria-components";
import { t } from "../locales";
import { type PadKey, press } from "./pad";

interface Props {
    value: string;
    onChange(next: string): void;
    /** A decimal point where numbers have one; a clear key where they have none. */
    decimal?: boolean;
}

const DIGITS: PadKey[] = ["1", "2", "3", "4", "5", "6", "7", "8", "9"];

/** Our own number pad: no web view on an appliance brings a keyboard, and gloves need 20 mm keys. */
export function NumberPad({ value, onChange, decimal }: Props) {
    const keys: PadKey[] = [...DIGITS, decimal ? "." : "clear", "0", "erase"];
    return (
        <fieldset className="grid w-fit grid-cols-3 content-start gap-2" aria-label={t.pad.label}>
            {keys.map((key) => (
                <Button
                    key={key}
                    aria-label={name(key)}
                    data-testid={`key-${key}`}
                    onPress={() => onChange(press(value, key))}
                    className="size-(--key) cursor-pointer rounded-lg border border-line bg-raised font-semibold text-2xl data-pressed:brightness-150"
                >
                    {face(key)}
                </Button>
            ))}
        </fieldset>
    );
}

function name(key: PadKey): string {
    if (key === "erase") return t.pad.erase;
    if (key === "clear") return t.pad.clear;
    return key === "." ? t.pad.point : t.pad.key(key);
}

function face(key: PadKey): string {
    if (key === "erase") return "⌫";
    return key === "clear" ? "C" : key;
}
