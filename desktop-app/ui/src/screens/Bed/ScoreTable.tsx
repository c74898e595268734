import type { ScoreView } from "../../agent/types";
import { Points } from "../../components/ScoreChip";
import { duration } from "../../format/time";
import { t } from "../../locales";

/** Points of each parameter, what was missing, and what the score's authors say to do. */
export function ScoreTable({ score }: { score: ScoreView }) {
    return (
        <>
            <table className="w-full text-left">
                <thead className="text-quiet text-sm">
                    <tr>
                        <th className="py-0.5 font-normal">{t.bed.parameter}</th>
                        <th className="font-normal">{t.bed.value}</th>
                        <th className="font-normal">{t.bed.ageHeading}</th>
                        <th className="text-right font-normal">{t.bed.pointsHeading}</th>
                    </tr>
                </thead>
                <tbody>
                    {score.parts.map((part) => (
                        <tr key={part.parameter} className="border-line border-t">
                            <th scope="row" className="py-1 font-normal">
                                {part.parameter}
                            </th>
                            <td className="font-semibold">{part.value}</td>
                            <td className="text-quiet">{duration(part.age_s * 1000)}</td>
                            <td className="text-right">
                                <Points points={part.points} />
                            </td>
                        </tr>
                    ))}
                </tbody>
            </table>
            <p>
                <strong>{t.score.response}:</strong> {score.response}
            </p>
            <p className="text-quiet text-sm">{t.score.rules(score.rules)}</p>
        </>
    );
}
