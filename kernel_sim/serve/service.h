// Service: what a terminator does with the plaintext of one listener: files, echo, forwarding, ...
//
// What a newcomer gets wrong: a handler may outlive its connection a little, because a backend's
// socket or a blocking read still has to end. So stop the path first, then the service, then the
// library whose loops both live on.
#pragma once

#include "kernel_sim/transport/connection.h"

namespace ktlsim::serve {

class Service {
 public:
  // Must be stopped, if it ever made a handler.
  virtual ~Service() = default;
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  // For a HandlerFactory: on the connection's loop, at dispatch level. The handler frees itself
  // after OnEnded. Null: no memory, and the connection is refused.
  virtual transport::ConnectionHandler* NewHandler(transport::Connection& connection) = 0;

  // Waits until every handler is gone. Passive level, when all connections have ended.
  virtual void Stop() {}

 protected:
  Service() = default;
};

}  // namespace ktlsim::serve
