// StressPaths: the servers and honest clients of a round.
//
// Three servers: one that must respond to everything honest, one that closes what has been
// established, and one that is stopped and started again and again, with short time limits.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kernel_sim/command/driver.h"
#include "kernel_sim/command/load_handlers.h"
#include "kernel_sim/command/stress/round.h"
#include "kernel_sim/serve/http_responder.h"
#include "kernel_sim/transport/client_path.h"
#include "kernel_sim/transport/server_path.h"

namespace ktlsim::command {

class StressPaths {
 public:
  explicit StressPaths(StressRound& round) : round_(round) {}

  // `foreign`: use the server there instead of our own. Fills the round's targets. Empty, or why
  // not.
  std::string Start(const std::optional<io::Address>& foreign);
  // The honest load: about so many connections.
  std::string StartLoad(unsigned connections);
  // Stops the shifting server and starts it elsewhere. Passive level.
  void Restart();
  // Ends the load; its failures are reported.
  void EndLoad();
  // Stops everything, and checks that every connection has an end and a reason.
  void Stop();

  // Of all servers, after Stop.
  const transport::TransportStatistics& server_statistics() const { return server_statistics_; }

 private:
  struct Load {
    StressActivity activity;
    std::vector<Credential> credentials;
    std::vector<std::unique_ptr<transport::TlsProfile>> profiles;
    std::unique_ptr<LoadPhase> phase;
  };

  std::string StartServer(transport::ServerPath& path, transport::ServerOptions options,
                          bool closes, io::Address* bound);
  std::string StartShifting();
  std::string AddLoad(StressActivity activity, unsigned slots);
  void StopServer(transport::ServerPath& path, const char* name);
  void Check(const transport::TransportStatistics& end, const char* name);

  StressRound& round_;
  unsigned connections_ = 0;
  io::Address closing_address_;
  serve::HttpOptions http_;
  CloseWhenEstablished closer_;
  transport::ServerPath steady_;
  transport::ServerPath closing_;
  std::unique_ptr<transport::ServerPath> shifting_;
  transport::ClientPath client_;
  std::vector<Load> loads_;
  transport::TransportStatistics server_statistics_;
};

}  // namespace ktlsim::command
