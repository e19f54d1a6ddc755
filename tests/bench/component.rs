//! A component with so much code that compiling it takes seconds.

/// Operations of a function: as many as a large one has.
const OPERATIONS: u32 = 1000;

/// `component` with one more core module of about `bytes` bytes, which is compiled and never used. Each `seed` makes
/// another one, so that no cache has it.
pub fn enlarged(component: &[u8], bytes: usize, seed: u32) -> Vec<u8> {
    let function = function(seed);
    let count = bytes / function.len();
    // One type, from and to an i32, and `count` functions of it.
    let types = section(1, &[1, 0x60, 1, 0x7f, 1, 0x7f]);
    let functions = section(3, &[leb(count), vec![0; count]].concat());
    let code = section(10, &[leb(count), function.repeat(count)].concat());
    let module = [b"\0asm\x01\0\0\0".as_slice(), &types, &functions, &code].concat();
    // Section 1 of a component is a core module.
    [component, &section(1, &module)].concat()
}

fn function(seed: u32) -> Vec<u8> {
    let (local_get, i32_const, end) = (0x20, 0x41, 0x0b);
    let mut body = vec![0, local_get, 0];
    for number in 0..OPERATIONS {
        // Six bits, so that it is one byte in the signed encoding.
        body.extend([i32_const, (number.wrapping_mul(7).wrapping_add(seed) % 63) as u8]);
        // i32.add, i32.mul, i32.xor
        body.push([0x6a, 0x6c, 0x73][number as usize % 3]);
    }
    body.push(end);
    [leb(body.len()), body].concat()
}

fn section(id: u8, content: &[u8]) -> Vec<u8> {
    [vec![id], leb(content.len()), content.to_vec()].concat()
}

fn leb(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}
