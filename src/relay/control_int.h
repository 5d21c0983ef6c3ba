/* SPDX-License-Identifier: MIT */
/* Inside of the control socket: a line in, JSON Lines out. */
#ifndef RELAY_CONTROL_INT_H
#define RELAY_CONTROL_INT_H

#include "relay/control.h"
#include "relay/keeper_int.h"

#include <stdio.h>

void control_command(struct keeper *k, struct slice line, FILE *out);

#endif
