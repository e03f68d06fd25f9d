// SPDX-License-Identifier: BSD-2-Clause
/*
 * Counts, from outside, what instructions leave out: a plugin of QEMU's translator that looks
 * at every instruction when it is translated, and has these counted when they run:
 *
 *   sysret, iret   a kernel entry, seen when it is left again: calls, faults and interrupts
 *   mov to cr3     a switch of address space
 *
 * and follows the marks of ../measure/measure.h: between MARK_BEGIN and MARK_END is what is
 * timed. For each row it writes a line
 *
 *   row <TAB> kernel entries <TAB> address-space switches
 *
 * to the file of its argument `out=`; with `profile=yes` before that line, for each place of
 * the code that ran while the row was timed, `at <TAB> address <TAB> instructions`.
 * Instructions of the guest are neither added nor taken away.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What of QEMU's plugin interface, version 1, is used here. */
typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef struct qemu_info_t qemu_info_t;
enum { NO_REGISTERS = 0, ADD_U64 = 0 };

extern void qemu_plugin_register_vcpu_tb_trans_cb(
    qemu_plugin_id_t, void (*)(qemu_plugin_id_t, struct qemu_plugin_tb *));
extern void qemu_plugin_register_vcpu_insn_exec_cb(
    struct qemu_plugin_insn *, void (*)(unsigned, void *), int, void *);
extern void qemu_plugin_register_vcpu_insn_exec_inline(
    struct qemu_plugin_insn *, int, void *, uint64_t);
extern void qemu_plugin_register_vcpu_tb_exec_inline(
    struct qemu_plugin_tb *, int, void *, uint64_t);
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
extern struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
extern const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *);
extern size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *);
extern uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *);

#define EXPORT __attribute__((visibility("default")))
EXPORT int qemu_plugin_version = 1;

/* As in ../measure/measure.h. */
enum { BEGIN = 0, END = 1, TAKE_OFF = 2, ENTER = 0x10, ROW = 0x20, SERIES = 4 };

struct counts {
	uint64_t entries, switches;
};

static struct counts total;		/* since the machine started          */
static struct counts at_begin, last, off, sum[SERIES];

/* A translated block, for the profile: when it ran is known at each mark. */
struct block {
	uint64_t address, insns, ran, at_begin, timed;
	struct block *next;
};

static struct block *blocks;
static int profile;
static FILE *out;

static struct counts minus(struct counts a, struct counts b)
{
	return (struct counts){ a.entries - b.entries, a.switches - b.switches };
}

static void add(struct counts *to, struct counts what)
{
	to->entries += what.entries;
	to->switches += what.switches;
}

static void print_profile(void)
{
	for (struct block *b = blocks; b != NULL; b = b->next) {
		if (b->timed != 0)
			fprintf(out, "at\t%#" PRIx64 "\t%" PRIu64 "\n",
			        b->address, b->timed * b->insns);
		b->timed = 0;
	}
}

static void mark(unsigned cpu, void *what)
{
	uintptr_t kind = (uintptr_t)what;

	(void)cpu;
	if (kind == BEGIN) {
		at_begin = total;
		for (struct block *b = profile ? blocks : NULL; b != NULL; b = b->next)
			b->at_begin = b->ran;
	} else if (kind == END) {
		last = minus(total, at_begin);
		for (struct block *b = profile ? blocks : NULL; b != NULL; b = b->next)
			b->timed += b->ran - b->at_begin;
	} else if (kind == TAKE_OFF) {
		off = last;
	} else if (kind >= ENTER && kind < ENTER + SERIES) {
		add(&sum[kind - ENTER], minus(last, off));
		off = (struct counts){ 0, 0 };
	} else if (kind >= ROW && kind < ROW + SERIES) {
		struct counts *s = &sum[kind - ROW];

		if (profile)
			print_profile();
		fprintf(out, "row\t%" PRId64 "\t%" PRId64 "\n", s->entries, s->switches);
		*s = (struct counts){ 0, 0 };
		/* QEMU may be ended by a signal once the guest has said its last. */
		fflush(out);
	}
}

static void look(struct qemu_plugin_insn *insn)
{
	const unsigned char *b = qemu_plugin_insn_data(insn);
	size_t n = qemu_plugin_insn_size(insn);

	if (n == 7 && b[0] == 0x0f && b[1] == 0x1f && b[2] == 0x80 &&
	    b[4] == 0x6e && b[5] == 0x65 && b[6] == 0x62)
		qemu_plugin_register_vcpu_insn_exec_cb(insn, mark, NO_REGISTERS,
		                                       (void *)(uintptr_t)b[3]);
	else if ((n == 3 && b[0] == 0x48 && b[1] == 0x0f && b[2] == 0x07) ||
	         (n == 2 && b[0] == 0x48 && b[1] == 0xcf))
		qemu_plugin_register_vcpu_insn_exec_inline(insn, ADD_U64, &total.entries, 1);
	else if (n >= 3 && b[n - 3] == 0x0f && b[n - 2] == 0x22 && (b[n - 1] & 0x38) == 0x18)
		qemu_plugin_register_vcpu_insn_exec_inline(insn, ADD_U64, &total.switches, 1);
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	size_t n = qemu_plugin_tb_n_insns(tb);

	(void)id;
	for (size_t i = 0; i < n; i++)
		look(qemu_plugin_tb_get_insn(tb, i));
	if (profile) {
		/* Never freed: QEMU keeps the address of the counter. */
		struct block *b = calloc(1, sizeof *b);

		if (b == NULL)
			abort();
		b->address = qemu_plugin_insn_vaddr(qemu_plugin_tb_get_insn(tb, 0));
		b->insns = n;
		b->next = blocks;
		blocks = b;
		qemu_plugin_register_vcpu_tb_exec_inline(tb, ADD_U64, &b->ran, 1);
	}
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc,
                               char **argv)
{
	(void)info;
	for (int i = 0; i < argc; i++) {
		if (strncmp(argv[i], "out=", 4) == 0)
			out = fopen(argv[i] + 4, "w");
		else if (strncmp(argv[i], "profile=", 8) == 0)
			profile = argv[i][8] == 'y';
	}
	if (out == NULL)
		return -1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return 0;
}
