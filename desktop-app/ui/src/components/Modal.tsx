import type { ReactNode } from "react";
import { Modal as AriaModal, Dialog, Heading, ModalOverlay } from "react-aria-components";

interface Props {
    title: string;
    isOpen: boolean;
    onClose(): void;
    children: ReactNode;
}

/** A dialog over the page. For the hub only: on a ward nothing may cover the alert bar. */
export function Modal({ title, isOpen, onClose, children }: Props) {
    return (
        <ModalOverlay
            isOpen={isOpen}
            onOpenChange={(open) => !open && onClose()}
            isDismissable
            className="fixed inset-0 z-30 grid place-items-center bg-black/50 p-6"
        >
            <AriaModal className="w-full max-w-lg rounded-2xl border border-line bg-panel p-7 shadow-2xl">
                <Dialog className="flex flex-col gap-4 outline-none">
                    <Heading slot="title" className="font-semibold text-xl">
                        {title}
                    </Heading>
                    {children}
                </Dialog>
            </AriaModal>
        </ModalOverlay>
    );
}
