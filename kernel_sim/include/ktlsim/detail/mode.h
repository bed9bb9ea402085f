// Kernel-mode or user-mode signatures, fixed by the first header that is included.
#pragma once

#define ISSP_LEVEL 32
#ifdef SECURITY_KERNEL
#define ISSP_MODE 0
#else
#define ISSP_MODE 1
#endif
