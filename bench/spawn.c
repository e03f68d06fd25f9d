// SPDX-License-Identifier: BSD-2-Clause
// The program whose start is measured. It has nothing to do.

int main(void) { return 0; }
