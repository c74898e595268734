import { TextField as AriaTextField, Input, Label, Text } from "react-aria-components";

interface Props {
    label: string;
    value: string;
    onChange(value: string): void;
    help?: string;
    autoFocus?: boolean;
    maxLength?: number;
    testId?: string;
}

/** A labelled line of text. */
export function TextField({ label, value, onChange, help, autoFocus, maxLength, testId }: Props) {
    return (
        <AriaTextField
            value={value}
            onChange={onChange}
            autoFocus={autoFocus}
            maxLength={maxLength}
            autoComplete="off"
            className="flex flex-col gap-1.5"
        >
            <Label>{label}</Label>
            <Input data-testid={testId} className="min-h-11 rounded-lg border border-line bg-ground px-3 text-lg" />
            {help && (
                <Text slot="description" className="text-quiet text-sm">
                    {help}
                </Text>
            )}
        </AriaTextField>
    );
}
