// Echo: sends every byte back. Reads no faster than it can send.
#pragma once

#include "kernel_sim/transport/connection.h"

namespace ktlsim::serve {

// For a HandlerFactory. The handler frees itself in OnEnded. Null: no memory.
transport::ConnectionHandler* MakeEcho();

}  // namespace ktlsim::serve
