// PathsWorld: one seed's run of the server path against the client path, unchanged, on a
// SeededMachine. The seed decides everything: processors, placement, queues, rings, faults, cuts,
// how many connections, what they send, and which of them give up when.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kernel_sim/transport/client_path.h"
#include "kernel_sim/transport/server_path.h"
#include "tests/transport/seeded_machine.h"

namespace ktlsim::test {

// Credentials of the package that makes the tokens. Alive until the world has ended.
struct PathsCredentials {
  CredHandle server{};
  std::vector<CredHandle> clients;  // a connection uses one of them
};

class PathsWorld {
 public:
  // `acquire` is called when the runtime runs, and its result is released after the paths.
  using Acquire = std::function<std::shared_ptr<PathsCredentials>(SeededMachine& machine)>;

  PathsWorld(std::uint64_t seed, const Acquire& acquire, bool keep = false);
  ~PathsWorld();

  // Runs until everything has ended; checks the invariants on the way and at the end.
  void Run();

  SeededMachine& machine() { return *machine_; }
  const transport::TransportStatistics& server_statistics() const { return server_statistics_; }
  const transport::TransportStatistics& client_statistics() const { return client_statistics_; }

 private:
  class Talk;
  class Echo;

  SeededMachineOptions DrawMachine(std::uint64_t seed, bool keep);
  io::MemoryFaults DrawFaults();
  void DrawTalks();
  void DialOne();
  void Check();
  void CheckPath(const transport::TransportStatistics& statistics);
  void CheckTalk(const Talk& talk);
  bool AllEnded() const;

  io::SeededRandom random_;
  bool harmless_ = true;  // nothing was drawn that may end a connection early
  bool stops_early_ = false;
  std::unique_ptr<SeededMachine> machine_;
  std::shared_ptr<PathsCredentials> credentials_;
  std::vector<transport::TlsProfile> profiles_;
  transport::ServerPath server_;
  transport::ClientPath client_;
  io::Address address_;
  std::vector<std::unique_ptr<Talk>> talks_;
  std::size_t dialled_ = 0;
  std::uint64_t echoes_ = 0;  // alive
  std::uint64_t checks_ = 0;
  transport::TransportStatistics server_statistics_;
  transport::TransportStatistics client_statistics_;
};

}  // namespace ktlsim::test
