// Fixed pieces of work whose instructions are counted, a regression check that a busy machine
// cannot disturb.
//
//   ktlsim_instructions --list
//   ktlsim_instructions NAME [N]     does it N times, and prints N
//   ktlsim_instructions --all [N]    all of them, one after the other
//
// In memory and without a ring, because valgrind starts none. What is counted happens inside
// ktlsim_counted: valgrind --tool=callgrind --collect-atstart=no --toggle-collect=ktlsim_counted.
// `./dev bench --instructions` does that.
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bench/tls/handshake_sides.h"
#include "kernel_sim/audit/audit_trail.h"
#include "kernel_sim/base/clock.h"
#include "kernel_sim/context_store/memory_store.h"
#include "kernel_sim/executive/object_table.h"
#include "kernel_sim/executive/request.h"
#include "kernel_sim/executive/strand.h"
#include "kernel_sim/security/access_check.h"
#include "kernel_sim/serve/http_request_reader.h"
#include "tls/record/aead_engine.h"
#include "tls/record/record.h"

// Its name must stay: it is what callgrind looks for.
extern "C" [[gnu::noinline]] void ktlsim_counted(void (*work)(void*), void* argument);
extern "C" void ktlsim_counted(void (*work)(void*), void* argument) {
  work(argument);
  // Else this would be a jump, and callgrind would not see the end.
  asm volatile("" ::: "memory");
}

namespace ktlsim {
namespace {

constexpr unsigned long kTimes = 20;
constexpr unsigned long kTimesMax = 1'000'000;

template <typename Work>
void Counted(Work work) {
  ktlsim_counted([](void* argument) { (*static_cast<Work*>(argument))(); },
                 static_cast<void*>(&work));
}

void Require(bool good, const char* what) {
  if (good) return;
  std::fprintf(stderr, "ktlsim_instructions: %s\n", what);
  std::exit(1);
}

// ---- Handshakes: of our side alone

enum class Wanted : std::uint8_t { kFull, kResumed };

void ServerHandshakes(tls::Version version, Wanted wanted, unsigned long times) {
  const tls::Contexts contexts(tls::Shape{.version = version});
  const auto endpoint = tls::MakeEndpoint(tls::Role::kServer, {.version = version});
  tls::Session session;
  if (wanted == Wanted::kResumed)
    session = tls::SessionFrom(contexts.client, tls::OurSide(endpoint.get()));
  for (unsigned long i = 0; i <= times; ++i) {
    tls::MemorySsl client(contexts.client, false, session.get());
    tls::Buffer to_client;
    tls::Buffer to_server;
    client.Step(to_client, to_server);
    std::optional<tls::OurSide> server;
    const auto step = [&] {
      if (!server) server.emplace(endpoint.get());
      server->Step(to_server, to_client);
      if (server->done()) server.reset();
    };
    bool done = false;
    // The first one fills what is filled once.
    for (int legs = 0; legs < 4 && !done; ++legs) {
      if (i == 0) {
        step();
      } else {
        Counted(step);
      }
      done = !server;
      client.Step(to_client, to_server);
    }
    Require(done && client.done() && client.resumed() == (wanted == Wanted::kResumed),
            "the handshake failed");
  }
}

void ClientHandshakes(unsigned long times) {
  const tls::Contexts contexts(tls::Shape{});
  const auto endpoint = tls::MakeEndpoint(tls::Role::kClient, tls::Shape{});
  for (unsigned long i = 0; i <= times; ++i) {
    tls::MemorySsl server(contexts.server, true);
    tls::Buffer to_client;
    tls::Buffer to_server;
    std::optional<tls::OurSide> client;
    const auto step = [&] {
      if (!client) client.emplace(endpoint.get());
      client->Step(to_client, to_server);
      if (client->done()) client.reset();
    };
    bool done = false;
    for (int legs = 0; legs < 4 && !done; ++legs) {
      if (i == 0) {
        step();
      } else {
        Counted(step);
      }
      done = !client;
      server.Step(to_server, to_client);
    }
    Require(done && server.done(), "the handshake failed");
  }
}

// ---- Records

constexpr std::size_t kHeaderBytes = 5;
constexpr std::size_t kTrailerBytes = 17;

tls::ProtectionState Protection() {
  tls::ProtectionState protection;
  protection.suite = tls::FindSuite(0x1301);
  protection.traffic_secret =
      tls::Secret(std::vector<std::uint8_t>(HashBytes(protection.suite->hash), 7));
  protection.aead_factory = tls::ChosenAead().factory;
  return protection;
}

void Seal(tls::RecordWriter& writer, std::span<std::byte> record) {
  const auto sealed =
      writer.Seal(tls::ContentType::kApplicationData, record.first(kHeaderBytes),
                  record.subspan(kHeaderBytes, record.size() - kHeaderBytes - kTrailerBytes),
                  record.last(kTrailerBytes));
  Require(sealed.outcome == tls::SealOutcome::kSealed, "not sealed");
}

void SealRecords(std::size_t bytes, unsigned long times) {
  tls::RecordWriter writer;
  Require(writer.Init(Protection()), "no writer");
  std::vector<std::byte> record(kHeaderBytes + bytes + kTrailerBytes);
  Seal(writer, record);
  for (unsigned long i = 0; i < times; ++i) Counted([&] { Seal(writer, record); });
}

void OpenRecords(unsigned long times) {
  tls::RecordWriter writer;
  tls::RecordReader reader;
  Require(writer.Init(Protection()) && reader.Init(Protection()), "no record layer");
  std::vector<std::byte> record(kHeaderBytes + 1400 + kTrailerBytes);
  for (unsigned long i = 0; i <= times; ++i) {
    Seal(writer, record);
    const auto open = [&] {
      Require(reader.Open(record).outcome == tls::OpenResult::Outcome::kOpened, "not opened");
    };
    if (i == 0) {
      open();
    } else {
      Counted(open);
    }
  }
}

// ---- Requests, accesses, contexts, calls

void ReadRequests(unsigned long times) {
  constexpr std::string_view kRequest =
      "GET /department/reports/november.html HTTP/1.1\r\nHost: www.example.org\r\nUser-Agent: "
      "curl/7.88.1\r\n"
      "Accept: */*\r\nAccept-Encoding: gzip, deflate\r\nConnection: keep-alive\r\n\r\n";
  const serve::HttpRequestLimits limits;
  serve::HttpRequestText text;
  serve::HttpRequestReader reader(limits, &text);
  for (unsigned long i = 0; i <= times; ++i) {
    const auto read = [&] {
      std::size_t consumed = 0;
      const auto outcome =
          reader.Read(std::as_bytes(std::span(kRequest.data(), kRequest.size())), &consumed);
      Require(outcome == serve::HttpRequestReader::Outcome::kRequest && consumed == kRequest.size(),
              "no request");
    };
    if (i == 0) {
      read();
    } else {
      Counted(read);
    }
  }
}

security::Sid SidNumber(std::uint32_t number) { return security::Sid(5, {21, 1, 2, 3, number}); }

security::Token::Ref MakeToken() {
  std::vector<security::TokenGroup> groups;
  groups.reserve(20);
  for (std::uint32_t i = 0; i < 20; ++i) groups.push_back({SidNumber(9000 + i)});
  security::TokenContents contents;
  contents.user = SidNumber(1000);
  contents.groups = groups;
  security::Token::Ref token;
  Require(security::Token::Create(contents, &token) == security::Fault::kNone, "no token");
  return token;
}

void CheckAccesses(unsigned long times) {
  constexpr std::size_t kAces = 16;
  std::vector<std::byte> memory(64 + kAces * 36);
  Require(security::InitializeAcl(memory, security::kAclRevision) == security::Fault::kNone,
          "no list");
  for (std::uint32_t i = 0; i < kAces; ++i) {
    const security::Sid sid = SidNumber(i + 1 == kAces ? 1000 : 5000 + i);
    const security::NewAce ace{.type = security::AceType::kAllowed, .mask = 1, .sid = sid};
    Require(
        security::AppendAce(memory.data(), security::kAclRevision, ace) == security::Fault::kNone,
        "no entry");
  }
  security::DescriptorView view;
  view.control = security::kDaclPresent;
  view.owner = security::kAdministratorsSid;
  view.group = security::kAdministratorsSid;
  view.dacl = security::AclView::Read(memory);
  const security::Token::Ref token = MakeToken();
  const security::TokenStateRef state = token->state();
  security::AccessResult result;
  for (unsigned long i = 0; i < times; ++i) {
    Counted([&] {
      const security::AccessRequest request{view, *state, 1, security::kFileMapping, std::nullopt};
      Require(security::CheckAccess(request, &result) == security::Fault::kNone && result.allowed,
              "refused");
    });
  }
}

class StoreCallDone final : public context_store::StoreCall {
 public:
  void OnStored() override {}
};

void FindContexts(unsigned long times) {
  const MonotonicClock clock;
  const auto store = context_store::MemoryStore::Create(clock, {.entries_max = 1000}).value();
  StoreCallDone call;
  const std::array<std::byte, 72> value{};
  const std::array<std::byte, 16> name{};
  const context_store::Key key{.kind = context_store::Kind::kDigestContext, .name = name};
  context_store::PutRequest put;
  put.value = value;
  put.lifetime_ns = 36'000 * kNsPerSecond;
  put.use = {.epoch = store->epoch(), .nonce = 1, .count = 1, .window = 64};
  Require(store->Put(call, key, put) == context_store::Begun::kDone, "not put");
  for (unsigned long i = 0; i < times; ++i) {
    Counted([&] {
      Require(store->Get(call, key) == context_store::Begun::kDone &&
                  call.result() == context_store::StoreResult::kOk,
              "not found");
    });
  }
}

// What every call passes on its way: its context's handle, its strand, its lane.
void PassParts(unsigned long times) {
  executive::ObjectTable table;
  std::unique_ptr<executive::Object> object = std::make_unique<executive::Object>();
  const executive::ObjectTable::Handle handle = table.Insert(object);
  Require(handle != 0, "no handle");
  executive::Strand strand;
  executive::Request request;
  executive::Request::Queue lane;
  for (unsigned long i = 0; i < times; ++i) {
    Counted([&] {
      table.Lookup(handle)->Release();
      Require(strand.Enter(request) == executive::Strand::Entry::kFirst, "the strand is taken");
      lane.PushBack(request);
      Require(lane.PopFront() == &request && strand.Leave() == nullptr, "the lane has another one");
    });
  }
  executive::Object* closed = nullptr;
  Require(table.Close(handle, &closed), "the handle is closed");
  closed->Release();
}

void MakeAuditLines(unsigned long times) {
  constexpr std::string_view kSecret = "0123456789abcdef0123456789abcdef";
  const security::Token::Ref token = MakeToken();
  const security::TokenStateRef client = token->state();
  const audit::AuditRecord record{.success = true,
                                  .client = client.get(),
                                  .server = client.get(),
                                  .client_name = "alice",
                                  .subsystem = "ktlsim serve",
                                  .object_type = "File",
                                  .object = "/srv/www/department/reports/2026/november.html",
                                  .desired = 0x120089,
                                  .granted = 0x120089,
                                  .context_id = 12,
                                  .connection_id = 345};
  const auto queue = audit::RecordQueue::Create(2);
  const auto engine = audit::MacEngine::Create();
  audit::ChainKey key;
  Require(key.Derive(*engine, std::as_bytes(std::span(kSecret.data(), kSecret.size())), {}),
          "no key");
  std::string line;
  line.reserve(audit::kLineBytesMax);
  audit::Mac mac{};
  for (unsigned long i = 0; i <= times; ++i) {
    const auto make = [&] {
      line.clear();
      // The same time in each, which is printed with as many digits.
      Require(queue->Push(record, 1'800'000'000'000'000'000), "the queue is full");
      audit::AppendRecordBody(*queue->Front(), 7, &line);
      queue->Pop();
      audit::AppendPrevious(mac, &line);
      Require(key.MacOfLine(*engine, line, &mac) && key.Step(*engine), "no MAC");
      audit::AppendMac(mac, &line);
    };
    if (i == 0) {
      make();
    } else {
      Counted(make);
    }
  }
}

struct Scenario {
  const char* name;
  void (*run)(unsigned long times);
};

// Their names stay: they are compared with those of other revisions.
constexpr std::array kScenarios = {
    Scenario{"server_handshake_13",
             [](unsigned long n) { ServerHandshakes(tls::Version::kTls13, Wanted::kFull, n); }},
    Scenario{"server_handshake_13_resumed",
             [](unsigned long n) { ServerHandshakes(tls::Version::kTls13, Wanted::kResumed, n); }},
    Scenario{"server_handshake_12",
             [](unsigned long n) { ServerHandshakes(tls::Version::kTls12, Wanted::kFull, n); }},
    Scenario{"client_handshake_13", &ClientHandshakes},
    Scenario{"seal_64", [](unsigned long n) { SealRecords(64, n); }},
    Scenario{"seal_16384", [](unsigned long n) { SealRecords(16384, n); }},
    Scenario{"open_1400", &OpenRecords},
    Scenario{"http_request", &ReadRequests},
    Scenario{"access_check", &CheckAccesses},
    Scenario{"context_lookup", &FindContexts},
    Scenario{"call_parts", &PassParts},
    Scenario{"audit_line", &MakeAuditLines},
};

int Run(std::span<char*> arguments) {
  const std::string_view what = arguments.size() > 1 ? arguments[1] : "";
  unsigned long times = kTimes;
  if (arguments.size() > 2) times = std::strtoul(arguments[2], nullptr, 10);
  if (what.empty() || arguments.size() > 3 || times == 0 || times > kTimesMax) {
    std::fputs("usage: ktlsim_instructions --list | (--all | NAME) [N]\n", stderr);
    return 2;
  }
  bool found = false;
  for (const Scenario& scenario : kScenarios) {
    if (what == "--list") std::puts(scenario.name);
    if (what != "--all" && what != scenario.name) continue;
    scenario.run(times);
    std::printf("%lu\n", times);
    found = true;
  }
  if (found || what == "--list") return 0;
  std::fputs("ktlsim_instructions: there is no such scenario; --list names them\n", stderr);
  return 2;
}

}  // namespace
}  // namespace ktlsim

int main(int argc, char** argv) { return ktlsim::Run({argv, static_cast<std::size_t>(argc)}); }
