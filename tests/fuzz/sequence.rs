//! Modules that make one host call after the other, with arguments of any kind, and look at every
//! answer: a wrong one ends the entry with a number that says which call it was.

use aegis_abi::{DEFAULT_ENTRY, EXPORT_INITIALIZE, EXPORT_MEMORY, INCREMENT_FAILURE};
use fastrand::Rng;
use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, DataSection, ExportKind, ExportSection, Function,
    FunctionSection, InstructionSink, MemorySection, MemoryType, Module, StartSection, ValType,
};

use super::abi::{self, Answer, Argument, IMPORTS, Import, Kind};
use super::sandbox::LIMITS;
use super::spans::{self, Piece, Stock};

/// Where the pieces lie: behind what small pointers point at.
const PIECES: i32 = 0x400;

const PAGE: u32 = 0x1_0000;

/// Locals: the last answer, the last length in the shared buffer, turns left.
const ANSWER: u32 = 0;
const LENGTH: u32 = 1;
const TURNS: u32 = 2;

/// Local functions, behind the imports: the sequence, and what runs it at start.
const SEQUENCE: u32 = IMPORTS.len() as u32;
const AT_START: u32 = SEQUENCE + 1;
const ENTRY: u32 = SEQUENCE + 2;

/// One module.
pub(crate) struct Sequence {
    pub(crate) module: Vec<u8>,
    /// Host calls of one invocation that goes to its end; there are more where calls fail.
    pub(crate) calls: u64,
    /// What the entry returns then.
    pub(crate) returns: i32,
    /// Each call of the sequence, in order.
    pub(crate) listing: Vec<String>,
}

/// When a module makes its calls.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Moment {
    Start,
    Initialize,
    Entry,
}

/// A module of up to `most` calls in a row, up to four times over.
pub(crate) fn generate(rng: &mut Rng, most: usize) -> Sequence {
    let pages = rng.u32(1..=6);
    let grown = if rng.bool() { 2 } else { 0 };
    let (data, pieces) = lay_out();
    let stock = Stock {
        pieces,
        memory: (pages + grown) * PAGE,
    };
    let (count, turns) = (rng.usize(1..=most), rng.i32(1..=4));
    let returns = [0, 0, 1, i32::MAX, -1][rng.usize(..5)];
    let mut listing = Vec::new();
    let mut body = Function::new([(3, ValType::I32)]);
    let mut code = body.instructions();
    code.i32_const(grown.cast_signed()).memory_grow(0).drop();
    code.i32_const(turns)
        .local_set(TURNS)
        .loop_(BlockType::Empty);
    for number in 0..count {
        let import = &IMPORTS[rng.usize(..IMPORTS.len())];
        listing.push(call(&mut code, rng, &stock, (number, import)));
    }
    code.local_get(TURNS)
        .i32_const(1)
        .i32_sub()
        .local_tee(TURNS);
    code.br_if(0).end().i32_const(0).end();
    let moment = [
        Moment::Start,
        Moment::Initialize,
        Moment::Entry,
        Moment::Entry,
    ][rng.usize(..4)];
    Sequence {
        module: assemble(&body, moment, returns, (pages, &data)),
        calls: count as u64 * turns.cast_unsigned() as u64,
        returns,
        listing,
    }
}

/// The pieces one behind the other.
fn lay_out() -> (Vec<u8>, Vec<Piece>) {
    let (mut data, mut pieces) = (Vec::new(), Vec::new());
    for (kind, bytes) in abi::pieces() {
        pieces.push(Piece {
            kind,
            start: PIECES + i32::try_from(data.len()).unwrap(),
            length: i32::try_from(bytes.len()).unwrap(),
        });
        data.extend(bytes);
    }
    (data, pieces)
}

/// Writes one call and the checks of its answer; what it is, in words.
fn call(
    code: &mut InstructionSink<'_>,
    rng: &mut Rng,
    stock: &Stock,
    (number, import): (usize, &Import),
) -> String {
    let mut outside = false;
    let mut shown = Vec::new();
    for argument in import.arguments {
        let values = match argument {
            Argument::Span(kind) => {
                let span = stock.span(rng, *kind);
                outside |= stock.is_outside(span);
                vec![span.0, span.1]
            }
            Argument::Copy if rng.bool() => {
                // What a well-behaved guest does: copy all there is.
                let destination = rng.i32(0x8000..0xf000);
                code.i32_const(destination).i32_const(0).local_get(LENGTH);
                code.call(index(import.name)).local_get(LENGTH).i32_ne();
                fail_if(code, wrong(number));
                return format!("{number}: {}({destination}, 0, all)", import.name);
            }
            Argument::Copy => {
                let span = stock.span(rng, Kind::Destination);
                outside |= stock.is_outside(span);
                vec![span.0, stock.span(rng, Kind::Text).1, span.1]
            }
            Argument::Status => vec![spans::status(rng)],
            Argument::Seconds => vec![spans::seconds(rng)],
            Argument::Limit => vec![spans::limit(rng)],
            Argument::Handle => vec![spans::handle(rng)],
            Argument::Handles => {
                let span = stock.handles(rng);
                outside |= stock.is_outside_with(span, 4);
                vec![span.0, span.1]
            }
            Argument::Delta => {
                let delta = spans::delta(rng);
                code.i64_const(delta);
                shown.push(delta.to_string());
                continue;
            }
        };
        for value in &values {
            code.i32_const(*value);
        }
        shown.push(format!("{values:?}"));
    }
    code.call(index(import.name));
    look_at(code, import.answer, outside, wrong(number));
    format!(
        "{number}: {}({}) outside: {outside}",
        import.name,
        shown.join(", ")
    )
}

/// What the entry returns when the answer to call `number` is wrong.
fn wrong(number: usize) -> i32 {
    -1000 - i32::try_from(number).unwrap()
}

/// The number of the call that a result of the entry tells of.
pub(crate) fn wrong_call(cause: &str) -> Option<usize> {
    let value: i32 = cause.strip_prefix("the entry returned ")?.parse().ok()?;
    usize::try_from(-1000 - i64::from(value)).ok()
}

fn look_at(code: &mut InstructionSink<'_>, answer: Answer, outside: bool, wrong: i32) {
    match answer {
        Answer::Nothing => return,
        Answer::Time => {
            code.i64_const(0).i64_le_s();
            fail_if(code, wrong);
            return;
        }
        Answer::Count if outside => {
            code.i64_const(INCREMENT_FAILURE).i64_ne();
            fail_if(code, wrong);
            return;
        }
        Answer::Count => {
            code.drop();
            return;
        }
        _ => code.local_set(ANSWER),
    };
    if outside {
        code.local_get(ANSWER).i32_const(-1).i32_ne();
        fail_if(code, wrong);
        code.call(index(aegis_abi::import::LAST_ERROR_CODE))
            .i32_eqz();
        fail_if(code, wrong);
        return;
    }
    let most = match answer {
        Answer::Length => i32::try_from(LIMITS.shared_buffer).unwrap(),
        Answer::Copied => i32::try_from(LIMITS.memory).unwrap(),
        Answer::Code => 8,
        Answer::Number => i32::MAX,
        Answer::Result | Answer::Nothing | Answer::Time | Answer::Count => 0,
    };
    code.local_get(ANSWER).i32_const(-1).i32_lt_s();
    fail_if(code, wrong);
    code.local_get(ANSWER).i32_const(most).i32_gt_s();
    fail_if(code, wrong);
    if answer == Answer::Length {
        code.local_get(ANSWER)
            .i32_const(0)
            .i32_ge_s()
            .if_(BlockType::Empty);
        code.local_get(ANSWER).local_set(LENGTH).end();
    }
}

fn fail_if(code: &mut InstructionSink<'_>, wrong: i32) {
    code.if_(BlockType::Empty).i32_const(wrong).return_().end();
}

fn index(name: &str) -> u32 {
    let at = IMPORTS.iter().position(|import| import.name == name);
    u32::try_from(at.unwrap()).unwrap()
}

fn assemble(sequence: &Function, moment: Moment, returns: i32, memory: (u32, &[u8])) -> Vec<u8> {
    let (mut types, imports) = abi::sections();
    let result = types.len();
    types.ty().function([], [ValType::I32]);
    let nothing = types.len();
    types.ty().function([], []);
    let mut functions = FunctionSection::new();
    functions
        .function(result)
        .function(nothing)
        .function(result);
    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: memory.0.into(),
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    let mut exports = ExportSection::new();
    exports.export(EXPORT_MEMORY, ExportKind::Memory, 0);
    exports.export(DEFAULT_ENTRY, ExportKind::Func, ENTRY);
    if moment == Moment::Initialize {
        exports.export(EXPORT_INITIALIZE, ExportKind::Func, AT_START);
    }
    let mut code = CodeSection::new();
    code.function(sequence)
        .function(&at_start())
        .function(&entry(moment, returns));
    let mut data = DataSection::new();
    data.active(0, &ConstExpr::i32_const(PIECES), memory.1.iter().copied());
    let mut module = Module::new();
    module.section(&types).section(&imports).section(&functions);
    module.section(&memories).section(&exports);
    if moment == Moment::Start {
        module.section(&StartSection {
            function_index: AT_START,
        });
    }
    module.section(&code).section(&data);
    module.finish()
}

/// Runs the sequence and keeps its verdict for the entry, in the first bytes of the memory.
fn at_start() -> Function {
    let mut function = Function::new([]);
    let at = wasm_encoder::MemArg {
        offset: 0,
        align: 2,
        memory_index: 0,
    };
    function
        .instructions()
        .i32_const(0)
        .call(SEQUENCE)
        .i32_store(at)
        .end();
    function
}

/// Returns the verdict if there is one, else what it should.
fn entry(moment: Moment, returns: i32) -> Function {
    let mut function = Function::new([(1, ValType::I32)]);
    let at = wasm_encoder::MemArg {
        offset: 0,
        align: 2,
        memory_index: 0,
    };
    let mut code = function.instructions();
    match moment {
        Moment::Entry => code.call(SEQUENCE),
        Moment::Start | Moment::Initialize => code.i32_const(0).i32_load(at),
    };
    code.local_tee(0)
        .if_(BlockType::Empty)
        .local_get(0)
        .return_()
        .end();
    code.i32_const(returns).end();
    function
}
