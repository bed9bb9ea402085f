// Tokens, SIDs, access control lists, security descriptors and access checks, for sources that
// include this header of Windows: all of ktlsim/security.h.
#pragma once

#include <ktlsim/security.h>
