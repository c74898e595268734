import { Button as AriaButton, type ButtonProps } from "react-aria-components";

const LOOKS = {
    plain: "border border-line bg-raised text-ink hover:brightness-110",
    primary: "border border-transparent bg-ink text-ground font-semibold",
    danger: "border border-transparent bg-danger text-white font-semibold",
    onAlarm: "border-2 border-current bg-black text-white font-semibold",
};

interface Props extends ButtonProps {
    look?: keyof typeof LOOKS;
    testId?: string;
}

/** A button at least 44 px high and wide, for fingers. */
export function Button({ look = "plain", testId, className, ...rest }: Props) {
    return (
        <AriaButton
            {...rest}
            data-testid={testId}
            className={`min-h-11 min-w-11 cursor-pointer rounded-lg px-4 text-base disabled:cursor-default disabled:opacity-60 ${LOOKS[look]} ${className ?? ""}`}
        />
    );
}
