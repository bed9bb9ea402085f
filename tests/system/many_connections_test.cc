// Thousands of connections are made, used and closed, and a few carry very many requests: nothing
// is left over. The environment can ask for more: KTLSIM_CONNECTIONS=100000,
// KTLSIM_REQUESTS=1000000.

#include <poll.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <string>

#include <gtest/gtest.h>

#include "tests/system/load_process.h"
#include "tests/system/serve_process.h"
#include "tests/system/test_client.h"

namespace ktlsim::system_tests {
namespace {

constexpr std::size_t kInFlight = 64;
// Room for what an allocator does with its pages.
constexpr std::size_t kGrowthKibMax = 4 * 1024;
// A connection deletes its security context with an async context, whose slot is used again after
// 65,536 others (executive/async_context.h): until then each takes a new one.
constexpr std::size_t kSlots = 65'536;
constexpr std::size_t kSlotBytesMax = 320;
const std::string kRequest = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

std::size_t Wanted(const char* variable, std::size_t usual) {
  const char* const wanted = std::getenv(variable);
  return wanted != nullptr ? std::stoul(wanted) : usual;
}

struct Held {
  std::size_t files;
  std::size_t kib;
};

std::ostream& operator<<(std::ostream& out, const Held& held) {
  return out << held.files << " descriptors, " << held.kib << " KiB";
}

// What the server holds after it has closed its side of the last connections.
Held HeldBy(const ServeProcess& server, std::size_t files_max) {
  for (int i = 0; i < 500 && server.OpenFiles() > files_max; ++i) poll(nullptr, 0, 10);
  return {server.OpenFiles(), server.Status("VmRSS")};
}

TEST(ManyConnectionsTest, LeaveNothingBehind) {
  ServeProcess server({"--self-signed", "localhost", "--respond-bytes", "26"});
  ASSERT_TRUE(server.running()) << server.output();
  const std::string certificate = server.ExportCertificate();
  ASSERT_TRUE(server.Answers());
  const std::size_t files = server.OpenFiles();

  const auto exchange = [&](command::TlsVersions versions, std::size_t connections) {
    TestClient client(certificate, versions);
    ASSERT_EQ(client.error(), "");
    const auto peer = io::Address::Loopback(static_cast<std::uint16_t>(server.port()));
    EXPECT_EQ(client.ExchangeMany(peer, kRequest, "\r\n\r\n" + Pattern(26), connections, kInFlight),
              connections);
  };
  // Most of them in TLS 1.2, whose resumed handshake is the cheapest; the code that could leak is
  // the same.
  const std::size_t each = Wanted("KTLSIM_CONNECTIONS", 10'000) / 10;
  exchange(command::TlsVersions::k13, each);
  exchange(command::TlsVersions::k12, each);
  const Held before = HeldBy(server, files);
  exchange(command::TlsVersions::k12, 6 * each);
  const Held late = HeldBy(server, files);
  exchange(command::TlsVersions::k12, each);
  exchange(command::TlsVersions::k13, each);
  const Held after = HeldBy(server, files);
  std::cout << "before: " << before << ", late: " << late << ", after: " << after << "\n";
  EXPECT_LE(after.files, files);
  const std::size_t slots_kib = std::min(8 * each, kSlots) * kSlotBytesMax / 1024;
  EXPECT_LE(after.kib, before.kib + kGrowthKibMax + slots_kib);
  EXPECT_LE(after.kib, late.kib + kGrowthKibMax);
  const nlohmann::json statistics = server.StopCleanly();
  EXPECT_EQ(statistics["established"], 10 * each + 2);
  EXPECT_GT(statistics["handshakes_resumed"], 4 * each);
}

TEST(ManyRequestsTest, LeaveNothingBehind) {
  ServeProcess server({"--self-signed", "localhost", "--respond-bytes", "100"});
  ASSERT_TRUE(server.running()) << server.output();
  const std::size_t files = server.OpenFiles();
  const std::size_t wanted = Wanted("KTLSIM_REQUESTS", 20'000);
  const auto requests = [&] {
    const LoadResult result =
        Load(server.address(),
             {"--insecure", "--connections", "16", "--seconds", wanted > 100'000 ? "10" : "0.5"});
    ExpectSound(result);
    return result.json.is_object() ? result.row()["count"].get<std::size_t>() : 0;
  };
  ASSERT_GT(requests(), 0U);
  const Held before = HeldBy(server, files);
  std::size_t done = 0;
  while (done < wanted && !HasFailure()) done += requests();
  const Held after = HeldBy(server, files);
  std::cout << done << " requests; before: " << before << ", after: " << after << "\n";
  EXPECT_LE(after.files, files);
  EXPECT_LE(after.kib, before.kib + kGrowthKibMax);
  server.StopCleanly();
}

}  // namespace
}  // namespace ktlsim::system_tests
