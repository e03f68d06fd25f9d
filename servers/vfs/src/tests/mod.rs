// SPDX-License-Identifier: BSD-2-Clause
//! The server on the host.
