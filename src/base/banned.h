/* SPDX-License-Identifier: MIT */
/*
 * Functions that must not be used anywhere in the tree. Included by the build
 * (-include) into every translation unit; using one of them is a compile error.
 */
#ifndef BASE_BANNED_H
#define BASE_BANNED_H

/* The headers that declare them come first, so that poisoning does not break the declarations. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#undef strcpy
#undef strcat
#undef strncpy
#undef strncat
#undef sprintf
#undef vsprintf
#undef strtok
#undef gets
#undef atoi
#undef atol
#undef localtime
#undef gmtime
#undef asctime
#undef ctime
#pragma GCC poison strcpy strcat strncpy strncat sprintf vsprintf strtok gets atoi atol localtime  \
    gmtime
#pragma GCC poison asctime ctime

#endif
