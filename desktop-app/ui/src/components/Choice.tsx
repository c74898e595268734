import { Label, Radio, RadioGroup } from "react-aria-components";

interface Props<T extends string> {
    label: string;
    /** Shows the label; otherwise it is only spoken. */
    visibleLabel?: boolean;
    value: T | null;
    options: readonly { value: T; label: string; testId?: string }[];
    onChange(value: T): void;
}

/** One of a few, as a row of large segments. The chosen one has a border and a mark, not only a colour. */
export function Choice<T extends string>({ label, visibleLabel, value, options, onChange }: Props<T>) {
    return (
        <RadioGroup
            aria-label={visibleLabel ? undefined : label}
            value={value}
            onChange={(next) => onChange(next as T)}
            orientation="horizontal"
            className="flex flex-col gap-1"
        >
            {visibleLabel && <Label className="text-quiet text-sm">{label}</Label>}
            <div className="flex flex-wrap gap-2">
                {options.map((option) => (
                    <Radio
                        key={option.value}
                        value={option.value}
                        data-testid={option.testId}
                        className="flex min-h-11 min-w-11 cursor-pointer items-center justify-center gap-1 rounded-lg border border-line bg-raised px-3 data-selected:border-ink data-selected:bg-ink data-selected:font-semibold data-selected:text-ground"
                    >
                        {({ isSelected }) => (
                            <>
                                {isSelected && <span aria-hidden>✓</span>}
                                {option.label}
                            </>
                        )}
                    </Radio>
                ))}
            </div>
        </RadioGroup>
    );
}
