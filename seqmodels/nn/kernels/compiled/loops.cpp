// The loop over time on a CPU: each step one product with packed weights, then a small program over the blocks of a row.
//
// A thread takes some rows of the batch through all steps by itself, so that nothing waits for anything. The interface
// is plain C without Python's or torch's headers: numbers and pointers in, called through ctypes. The code is compiled
// once for each instruction set; the processor's best is chosen when the library is loaded.

#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__linux__)
#include <sys/mman.h>
#endif
#if defined(__x86_64__)
#include <immintrin.h>
#endif

// In the order of `OPERATIONS` in compiled/encoding.py.
enum Operation {
    NEG, ABS, SIGN, FLOOR, SQRT, RSQRT, RECIPROCAL, EXP, EXPM1, LOG, LOG1P, SIGMOID, TANH, RELU, COPY,
    ADD, SUB, MUL, DIV, MAXIMUM, MINIMUM, REMAINDER, GT, GE, LT, LE, EQ, NE, SIGMOID_GRAD, TANH_GRAD, RELU_GRAD,
    WHERE, FMA, SUM, DOT, ACCUMULATE
};

// Where an operand lives: in a register (a block, or a number for each row), in the program (a number), or in a buffer
// whose rows belong to steps, to the states before or after them, to the rows of the batch, or are one for all.
enum Place { REGISTER, ROW_REGISTER, NUMBER, STEP, BEFORE, AFTER, BATCH, SHARED, ACCUMULATOR };

struct Operand { int32_t place, index, column, wide; };  // wide: a number for each column, not one for all
struct Instruction { int32_t operation, target, a, b, c; };

// Columns of a product that are made of the inputs, of the state (bits 1 and 2 of `wants`) or of both.
struct Segment {
    const void *packed;
    int64_t first, columns, wants;
};

struct Loop {
    int64_t width;  // columns of a block
    int64_t num_steps, backward;
    const int64_t *rows, *step, *before, *after;  // at each step: rows running, and the first row in each kind of buffer
    int64_t num_tasks;
    const int64_t *task_rows;  // task k takes the rows from task_rows[k] to task_rows[k + 1]
    // The product: target (+)= [inputs | source] @ weights + bias. Operands name inputs, source and target.
    Segment segments[3];
    const void *bias;
    int64_t inputs_inner, inner, inputs, source, target, add;
    int64_t rows_at_once;  // rows that share one pass over the packed weights
    int64_t num_operands, num_instructions, num_registers;
    const Operand *operands;
    const Instruction *instructions;
    const void *numbers;
    void *const *buffers;
    const int64_t *strides;
    void *accumulators;  // accumulator_blocks blocks for each task
    int64_t accumulator_blocks;
};

struct Packing {  // of one matrix upon another
    const void *source[2];
    void *packed;
    int64_t columns, inner[2], inner_stride[2], column_stride[2];
};

struct Product {  // out = a @ packed + bias
    const void *a, *packed, *bias;
    void *out;
    int64_t rows, inner, columns, a_stride, out_stride, num_tasks;
};

struct Transposition {  // to = from.T, of (rows, columns)
    const void *from;
    void *to;
    int64_t rows, columns, from_stride, to_stride;
};

// The gradients of gates, (rows, columns), give those of the weights: (sizes, columns) (+)= factors.T @ gates, once for
// the inputs and once for the earlier states. Segments of columns want one, the other (bits 1 and 2) or both.
struct Weighing {
    const void *gates;
    const void *factors[2];
    void *out[2], *bias;
    int64_t rows, gate_stride, sizes[2], strides[2], out_stride, add;
    int64_t first[3], stop[3], wanted[3];
};

static const int BLOCK_ROWS = 6;

// A thread's own memory, kept for the next call: new pages cost more than what is done with them.
struct Scratch {
    void *memory = nullptr;
    size_t size = 0;
    ~Scratch() { free(memory); }
    void *at_least(size_t bytes) {  // aligned to 64
        if (bytes + 64 > size) {
            free(memory);
            size = bytes + bytes / 4 + 64;
            memory = malloc(size);
            if (!memory) {  // some rows of numbers: nothing else would go on either
                fputs("seqmodels: no memory is left for a compiled loop\n", stderr);
                abort();
            }
        }
        return (void *)(((uintptr_t)memory + 63) / 64 * 64);
    }
};

static thread_local Scratch scratch;

namespace generic {
#define VECTOR_BYTES 16
#define PANEL_VECTORS 2
#include "types.inc"
}  // namespace generic

#if defined(__x86_64__)
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif
namespace avx2 {
#define VECTOR_BYTES 32
#define PANEL_VECTORS 2
#include "types.inc"
}  // namespace avx2
#if defined(__clang__)
#pragma clang attribute pop
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma"))), apply_to = function)
#else
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,fma")
#endif
namespace avx512 {
#define VECTOR_BYTES 64
#define PANEL_VECTORS 4
#include "types.inc"
}  // namespace avx512
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif

struct Target {
    const char *name;
    void (*run[2])(const Loop *, int64_t task);  // float, double
    void (*pack[2])(const Packing *, int64_t panel);
    void (*multiply[2])(const Product *, int64_t task);
    void (*weigh[2])(const Weighing *, int64_t task);
    void (*transpose[2])(const Transposition *, int64_t task);
    int64_t panel[2];
};

#define BOTH(target, function) {target::single::function, target::twofold::function}
#define TARGET(name)                                                                                         \
    Target {                                                                                                 \
        #name, BOTH(name, run_task), BOTH(name, pack_panel), BOTH(name, multiply_task), BOTH(name, weigh_task), \
            BOTH(name, transpose_task), BOTH(name, PANEL)                                                                                \
    }

static Target choose() {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl"))
        return TARGET(avx512);
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return TARGET(avx2);
#endif
    return TARGET(generic);
}

static const Target target = choose();

// Threads: those of the OpenMP that torch runs on, so that the two never compete; else threads of our own.

typedef void (*Parallel)(void (*)(void *), void *, unsigned, unsigned);
static Parallel parallel = nullptr;

struct Job {
    void (*call)(const void *, int64_t);
    const void *argument;
    int64_t num_tasks, next;
};

static void work(void *data) {
    Job *job = static_cast<Job *>(data);
    for (;;) {
        int64_t task = __atomic_fetch_add(&job->next, 1, __ATOMIC_RELAXED);
        if (task >= job->num_tasks) return;
        job->call(job->argument, task);
    }
}

static void *work_in_thread(void *data) {
    work(data);
    return nullptr;
}

static void share(void (*call)(const void *, int64_t), const void *argument, int64_t num_tasks, int64_t num_threads) {
    Job job = {call, argument, num_tasks, 0};
    if (num_threads > num_tasks) num_threads = num_tasks;
    if (num_threads <= 1) return work(&job);
    if (parallel) return parallel(work, &job, (unsigned)num_threads, 0);
    pthread_t threads[64];
    int64_t started = 0;
    while (started < num_threads - 1 && started < 64 && !pthread_create(&threads[started], nullptr, work_in_thread, &job))
        started++;
    work(&job);
    while (started) pthread_join(threads[--started], nullptr);
}

static int64_t num_panels(int64_t columns, int64_t twofold) {
    return (columns + target.panel[twofold] - 1) / target.panel[twofold];
}

template <typename Argument>
static void share_typed(void (*call)(const Argument *, int64_t), const Argument *argument, int64_t tasks, int64_t threads) {
    share(reinterpret_cast<void (*)(const void *, int64_t)>(call), argument, tasks, threads);
}

extern "C" {

const char *loops_target() { return target.name; }

// Asks for large pages behind a new buffer: the first touch of each small one costs more than filling it.
void loops_advise(void *buffer, int64_t bytes) {
#if defined(__linux__)
    uintptr_t page = 4096, begin = ((uintptr_t)buffer + page - 1) / page * page, end = ((uintptr_t)buffer + bytes) / page * page;
    if (end > begin) madvise((void *)begin, end - begin, MADV_HUGEPAGE);
#else
    (void)buffer, (void)bytes;
#endif
}

void loops_use_parallel(void *function) { parallel = reinterpret_cast<Parallel>(function); }

// Numbers in the packed form of weights of (inner, columns).
int64_t loops_packed_size(int64_t inner, int64_t columns, int64_t twofold) {
    int64_t panel = target.panel[twofold];
    return (columns + panel - 1) / panel * panel * inner;
}

void loops_pack(const Packing *packing, int64_t twofold, int64_t num_threads) {
    share_typed(target.pack[twofold], packing, num_panels(packing->columns, twofold), num_threads);
}

void loops_run(const Loop *loop, int64_t twofold, int64_t num_threads) {
    share_typed(target.run[twofold], loop, loop->num_tasks, num_threads);
}

void loops_multiply(const Product *product, int64_t twofold, int64_t num_threads) {
    share_typed(target.multiply[twofold], product, product->num_tasks, num_threads);
}

void loops_transpose(const Transposition *job, int64_t twofold, int64_t num_threads) {
    share_typed(target.transpose[twofold], job, num_panels(job->columns, twofold), num_threads);
}

void loops_weigh(const Weighing *weighing, int64_t twofold, int64_t num_threads) {
    int64_t tasks = 0;
    for (int k = 0; k < 3; k++) tasks += num_panels(weighing->stop[k] - weighing->first[k], twofold);
    share_typed(target.weigh[twofold], weighing, tasks, num_threads);
}

}  // extern "C"
