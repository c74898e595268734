// The mock ward's twenty invented patients. A development tool: nothing here reaches a real build.

/** One bed of the mock ward. `points` follow NEWS2's order; null is "never measured". */
export interface Person {
    name: string;
    age: number;
    gender: "female" | "male";
    hr: number;
    spo2: number;
    rr: number;
    systolic: number;
    diastolic: number;
    temperature: number;
    oxygen: number | null;
    acvpu: number | null;
    points: (number | null)[];
}

type Row = [
    string,
    number,
    "female" | "male",
    number,
    number,
    number,
    number,
    number,
    number,
    number | null,
    number | null,
    string,
];

// name, age, gender, HR, SpO₂, RR, systolic, diastolic, temperature, O₂ L/min, ACVPU, NEWS2 points (RR SpO₂ O₂ SBP pulse ACVPU temp)
const ROWS: Row[] = [
    ["Achieng, Grace", 34, "female", 78, 98, 16, 118, 74, 36.8, 0, 0, "0000000"],
    ["Okafor, Samuel", 71, "male", 118, 88, 26, 98, 60, 38.4, 2, 0, "3322201"],
    ["Wanjiru, Mary", 58, "female", 84, 96, 18, 134, 82, 37.1, 0, 0, "0000000"],
    ["Mensah, Kofi", 45, "male", 96, 95, 20, 142, 88, 37.9, null, null, "01?01?0"],
    ["Banda, Chikondi", 27, "female", 72, 99, 14, 112, 70, 36.6, 0, 0, "0000000"],
    ["Nakato, Prossy", 66, "female", 92, 93, 22, 108, 66, 38.2, 1, 0, "2221101"],
    ["Diallo, Amadou", 80, "male", 66, 94, 19, 148, 86, 36.2, 0, 0, "0100000"],
    ["Kamau, Peter", 52, "male", 88, 97, 17, 126, 80, 37.0, 0, 0, "0000000"],
    ["Tesfaye, Hana", 39, "female", 104, 96, 21, 104, 64, 38.8, 0, 0, "2001101"],
    ["Mwale, Joseph", 63, "male", 48, 97, 15, 122, 78, 36.5, 0, 0, "0000100"],
    ["Abdi, Fatuma", 31, "female", 80, 98, 16, 116, 72, 36.9, 0, 0, "0000000"],
    ["Sithole, Themba", 74, "male", 76, 95, 18, 138, 84, 36.7, 0, 0, "0100000"],
    ["Phiri, Dorothy", 49, "female", 82, 97, 16, 124, 76, 37.2, 0, 0, "0000000"],
    ["Juma, Hassan", 56, "male", 134, 92, 24, 88, 52, 39.3, 4, 2, "2223332"],
    ["Adeyemi, Folake", 42, "female", 74, 98, 15, 120, 76, 36.8, 0, 0, "0000000"],
    ["Osei, Kwame", 68, "male", 90, 96, 19, 130, 78, 37.4, 0, 0, "0000000"],
    ["Njoroge, Alice", 77, "female", 86, 95, 20, 152, 90, 36.4, 0, 1, "0100030"],
    ["Hussein, Omar", 23, "male", 70, 99, 14, 114, 68, 36.6, 0, 0, "0000000"],
];

export const PEOPLE: Person[] = ROWS.map(
    ([name, age, gender, hr, spo2, rr, systolic, diastolic, temperature, oxygen, acvpu, points]) => ({
        name,
        age,
        gender,
        hr,
        spo2,
        rr,
        systolic,
        diastolic,
        temperature,
        oxygen,
        acvpu,
        points: [...points].map((p) => (p === "?" ? null : Number(p))),
    }),
);
