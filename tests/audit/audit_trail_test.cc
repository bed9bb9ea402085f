// Trails as they are written: what is in the lines, rotation, many threads, one writer.
#include "kernel_sim/audit/audit_trail.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/audit/audit_test_support.h"

namespace ktlsim::audit {
namespace {

using nlohmann::json;
using test::ContentOf;
using test::LinesOf;
using test::TextOf;

security::TokenStateRef TokenOf(std::uint32_t number, security::Luid session) {
  security::TokenContents contents;
  contents.user = security::Sid(5, {21, 1, 2, 3, number});
  contents.authentication_id = session;
  security::Token::Ref token;
  EXPECT_EQ(security::Token::Create(contents, &token), security::Fault::kNone);
  return token->state();
}

TEST(AuditTrailTest, ALineHasAllThatTheRecordHas) {
  test::TrailScene scene;
  scene.options.unix_time_ns = [] { return std::uint64_t{1796077875'000042'000}; };
  const security::TokenStateRef client = TokenOf(1001, {0x10, 2});
  const security::TokenStateRef server = TokenOf(500, security::kSystemSession);
  {
    const std::unique_ptr<AuditTrail> trail = scene.Open();
    ASSERT_EQ(trail->Write({.event = AuditEvent::kOpen,
                            .success = true,
                            .creation = true,
                            .client = client.get(),
                            .server = server.get(),
                            .client_name = "alice",
                            .subsystem = "ktlsim serve",
                            .object_type = "File",
                            .object = "/srv/a",
                            .handle_id = 0x40,
                            .desired = 0x120089,
                            .granted = 0x1,
                            .privileges = {security::Privilege::kSecurity},
                            .unknown_privileges = 4,
                            .context_id = 7,
                            .connection_id = 9}),
              Taken::kQueued);
    ASSERT_EQ(trail->Write({.subsystem = "test", .object = "x"}), Taken::kQueued);
    ASSERT_TRUE(trail->Close().ok());
  }
  const std::vector<std::string> lines = LinesOf(ContentOf(scene.log()));
  ASSERT_EQ(lines.size(), 4U);
  json line = json::parse(lines[1]);
  EXPECT_EQ(line["mac"].get<std::string>().size(), 64U);
  line.erase("mac");
  EXPECT_EQ(line["prev"].get<std::string>().size(), 32U);
  line.erase("prev");
  EXPECT_EQ(line, json::parse(R"({"seq":1,"time":"2026-11-30T22:31:15.000042Z","event":"open",
    "outcome":"success","client":{"user":"S-1-5-21-1-2-3-1001","logon":"0x200000010","name":"alice"},
    "server":{"user":"S-1-5-21-1-2-3-500","logon":"0x3e7"},"subsystem":"ktlsim serve",
    "handle":"0x40","type":"File","object":"/srv/a","desired":"0x120089","granted":"0x1",
    "privileges":["SeSecurityPrivilege"],"unknown_privileges":4,"creation":true,"context":7,
    "connection":9})"));
  line = json::parse(lines[2]);
  line.erase("mac");
  EXPECT_EQ(line["prev"].get<std::string>().size(), 32U);
  line.erase("prev");
  EXPECT_EQ(line, json::parse(R"({"seq":2,"time":"2026-11-30T22:31:15.000042Z","event":"access",
    "outcome":"failure","subsystem":"test","object":"x","desired":"0x0","granted":"0x0"})"));
  EXPECT_EQ(json::parse(lines[0])["event"], "start");
  EXPECT_EQ(json::parse(lines[3])["event"], "stop");
}

TEST(AuditTrailTest, FilesAreTheOwnersAlone) {
  test::TrailScene scene;
  const std::unique_ptr<AuditTrail> trail = scene.Open();
  for (const std::string& path : {scene.log(), scene.head()}) {
    struct stat facts{};
    ASSERT_EQ(stat(path.c_str(), &facts), 0);
    EXPECT_EQ(facts.st_mode & 0777, 0600U) << path;
  }
}

TEST(AuditTrailTest, TheSecretIsInNoFile) {
  test::TrailScene scene;
  const std::unique_ptr<AuditTrail> trail = scene.Open();
  for (const std::string& path : {scene.log(), scene.head()}) {
    EXPECT_EQ(ContentOf(path).find(test::kSecretText), std::string::npos);
  }
}

TEST(AuditTrailTest, ASecondWriterIsRefused) {
  test::TrailScene scene;
  {
    const std::unique_ptr<AuditTrail> trail = scene.Open();
    EXPECT_NE(scene.Refusal().find("another writer"), std::string::npos);
  }
  EXPECT_NE(scene.Open(), nullptr);
}

TEST(AuditTrailTest, ManyThreadsWriteAndNoRecordIsMissing) {
  constexpr int kThreads = 4;
  constexpr int kEach = 2000;
  test::TrailScene scene;
  scene.options.sync = SyncPolicy::kNever;
  {
    const std::unique_ptr<AuditTrail> trail = scene.Open();
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&trail, t] {
        const std::string name = "thread " + std::to_string(t);
        for (int i = 0; i < kEach; ++i) {
          while (trail->Write({.subsystem = name, .object = std::to_string(i)}) != Taken::kQueued) {
            std::this_thread::yield();
          }
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    ASSERT_TRUE(trail->Close().ok());
  }
  const VerifyReport report = scene.Verify();
  EXPECT_TRUE(report.ok()) << TextOf(report);
  std::map<std::string, int> next;
  for (const std::string& line : LinesOf(ContentOf(scene.log()))) {
    const json record = json::parse(line);
    if (record["event"] != "access") continue;
    EXPECT_EQ(record["object"], std::to_string(next[record["subsystem"]]++));
  }
  ASSERT_EQ(next.size(), std::size_t{kThreads});
  for (const auto& [name, count] : next) EXPECT_EQ(count, kEach) << name;
}

TEST(AuditTrailTest, AFullQueueRefusesOrCountsAndTheLossIsARecord) {
  for (const FullPolicy policy : {FullPolicy::kRefuse, FullPolicy::kCount}) {
    test::TrailScene scene;
    scene.options.when_full = policy;
    scene.options.queue_depth = 2;
    std::uint64_t lost = 0;
    {
      const std::unique_ptr<AuditTrail> trail = scene.Open();
      while (lost < 3) {
        const Taken taken = trail->Write({.subsystem = "test", .object = "x"});
        if (taken == Taken::kQueued) continue;
        EXPECT_EQ(taken, policy == FullPolicy::kRefuse ? Taken::kRefused : Taken::kCounted);
        ++lost;
      }
      ASSERT_TRUE(trail->Close().ok());
      const TrailFigures figures = trail->figures();
      EXPECT_EQ(policy == FullPolicy::kRefuse ? figures.refused : figures.lost, lost);
      EXPECT_EQ(figures.state, TrailState::kClosed);
    }
    EXPECT_TRUE(scene.Verify().ok());
    std::uint64_t told = 0;
    for (const std::string& line : LinesOf(ContentOf(scene.log()))) {
      const json record = json::parse(line);
      if (record["event"] == (policy == FullPolicy::kRefuse ? "refused" : "lost")) {
        told += record["count"].get<std::uint64_t>();
      }
    }
    EXPECT_EQ(told, lost);
  }
}

// Whatever the policy is, in a count of their own.
TEST(AuditTrailTest, FailedLogonsWithoutALineAreCounted) {
  for (const FullPolicy policy : {FullPolicy::kRefuse, FullPolicy::kCount}) {
    test::TrailScene scene;
    scene.options.when_full = policy;
    scene.options.sync = SyncPolicy::kNever;
    scene.options.queue_depth = 2;
    std::uint64_t lost = 0;
    {
      const std::unique_ptr<AuditTrail> trail = scene.Open();
      while (lost < 3) {
        const Taken taken = trail->Write({.event = AuditEvent::kLogon,
                                          .reason = LogonFailure::kDenied,
                                          .client_name = "alice",
                                          .subsystem = "test"});
        if (taken == Taken::kQueued) continue;
        EXPECT_EQ(taken, policy == FullPolicy::kRefuse ? Taken::kRefused : Taken::kCounted);
        ++lost;
      }
      ASSERT_TRUE(trail->Close().ok());
      const TrailFigures figures = trail->figures();
      EXPECT_EQ(figures.logons_lost, lost);
      EXPECT_EQ(figures.refused + figures.lost, 0U);
    }
    EXPECT_TRUE(scene.Verify().ok());
    std::uint64_t told = 0;
    std::uint64_t reasons = 0;
    for (const std::string& line : LinesOf(ContentOf(scene.log()))) {
      const json record = json::parse(line);
      if (record["event"] == "logons-lost") told += record["count"].get<std::uint64_t>();
      if (record.value("reason", "") == "denied") ++reasons;
    }
    EXPECT_EQ(told, lost);
    EXPECT_GE(reasons, 1U);
  }
}

// ---- Rotation

std::vector<std::string> AllFiles(const test::TrailScene& scene, int rotated) {
  std::vector<std::string> files = {scene.log()};
  for (int i = 1; i <= rotated; ++i) files.push_back(scene.log() + "." + std::to_string(i));
  return files;
}

// A trail of three files.
void WriteThreeFiles(test::TrailScene& scene) {
  const std::unique_ptr<AuditTrail> trail = scene.Open();
  for (int file = 0; file < 3; ++file) {
    if (file != 0) {
      trail->Rotate();
      // The next record is behind it.
      const std::string rotated = scene.log() + "." + std::to_string(file);
      while (!std::filesystem::exists(rotated)) std::this_thread::yield();
    }
    test::WriteObjects(*trail, 10 * file, 3);
  }
  ASSERT_TRUE(trail->Close().ok());
}

TEST(AuditRotationTest, TheChainGoesOnOverFiles) {
  test::TrailScene scene;
  WriteThreeFiles(scene);
  const VerifyReport report = scene.Verify(AllFiles(scene, 2));
  EXPECT_TRUE(report.ok()) << TextOf(report);
  EXPECT_EQ(report.genuine, 3U * 3 + 4);
  EXPECT_EQ(json::parse(LinesOf(ContentOf(scene.log()))[0])["event"], "continue");
  EXPECT_EQ(json::parse(LinesOf(ContentOf(scene.log()))[0])["file"], 3);
}

TEST(AuditRotationTest, AMissingFileIsFound) {
  test::TrailScene scene;
  WriteThreeFiles(scene);
  EXPECT_EQ(TextOf(scene.Verify({scene.log(), scene.log() + ".1"})), "removed 4-7 at 1");
  EXPECT_EQ(TextOf(scene.Verify({scene.log() + ".2", scene.log() + ".1"})), "cut-tail 8-12 at 4");
  EXPECT_EQ(TextOf(scene.Verify({scene.log(), scene.log() + ".2"})), "removed 0-3 at 1");
  EXPECT_TRUE(scene.Verify({scene.log(), scene.log() + ".2"}, {.partial = true}).ok());
  EXPECT_EQ(TextOf(scene.Verify({scene.log()}, {.partial = true})), "");
  EXPECT_EQ(TextOf(scene.Verify(AllFiles(scene, 2), {.partial = true})), "");
}

TEST(AuditRotationTest, AFindingNamesItsFile) {
  test::TrailScene scene;
  WriteThreeFiles(scene);
  std::string second = ContentOf(scene.log() + ".2");
  second.replace(second.find("/object/11"), 10, "/object/99");
  test::Overwrite(scene.log() + ".2", second);
  const VerifyReport report = scene.Verify(AllFiles(scene, 2));
  ASSERT_EQ(TextOf(report), "altered 6-6 at 3");
  EXPECT_EQ(report.findings[0].file, 1U);
}

TEST(AuditRotationTest, AFullFileIsRotated) {
  test::TrailScene scene;
  scene.options.rotate_bytes = 1500;
  {
    const std::unique_ptr<AuditTrail> trail = scene.Open();
    for (int i = 0; i < 30; ++i) test::WriteObjects(*trail, i, 1);
    ASSERT_TRUE(trail->Close().ok());
  }
  ASSERT_TRUE(std::filesystem::exists(scene.log() + ".2"));
  int rotated = 0;
  while (std::filesystem::exists(scene.log() + "." + std::to_string(rotated + 1))) ++rotated;
  std::vector<std::string> files = AllFiles(scene, rotated);
  if (!std::filesystem::exists(scene.log())) files.erase(files.begin());
  EXPECT_EQ(TextOf(scene.Verify(files)), "");
}

TEST(AuditRotationTest, AFileThatIsInTheWayIsNotOverwritten) {
  test::TrailScene scene;
  const std::unique_ptr<AuditTrail> trail = scene.Open();
  test::Overwrite(scene.log() + ".1", "precious");
  trail->Rotate();
  while (trail->figures().failures == 0) std::this_thread::yield();
  test::WriteObjects(*trail, 0, 3);
  ASSERT_TRUE(trail->Close().ok());
  EXPECT_EQ(ContentOf(scene.log() + ".1"), "precious");
  EXPECT_TRUE(scene.Verify().ok());
}

// An empty file with a number is none that the head knows, and would not let the trail go on.
TEST(AuditRotationTest, WithoutALineSinceTheLastItDoesNothing) {
  test::TrailScene scene;
  for (const int times : {1, 2, 3}) {
    const Result<std::unique_ptr<TrailWriter>> writer = TrailWriter::Open(scene.options);
    ASSERT_TRUE(writer.ok()) << writer.status().ToString();
    for (int i = 0; i < times; ++i) EXPECT_TRUE(writer.value()->Rotate().ok());
  }
  const std::unique_ptr<AuditTrail> trail = scene.Open();
  ASSERT_NE(trail, nullptr);
  EXPECT_TRUE(trail->Close().ok());
  EXPECT_EQ(TextOf(scene.Verify(AllFiles(scene, 3))), "");
  EXPECT_FALSE(std::filesystem::exists(scene.log() + ".4"));
}

// Writes nothing while it is shut.
class GatedDisk final : public FileCalls {
 public:
  ssize_t Write(int file, const char* bytes, std::size_t count, off_t offset) override {
    while (shut.load()) std::this_thread::yield();
    return FileCalls::Write(file, bytes, count, offset);
  }

  std::atomic<bool> shut{false};
};

// A rotation fails after each of several batches: what Flush says is written, is.
TEST(AuditRotationTest, OneThatFailsIsNoReasonForFlushToReturn) {
  test::TrailScene scene;
  GatedDisk disk;
  scene.options.calls = &disk;
  scene.options.rotate_bytes = 1;
  test::Overwrite(scene.log() + ".2", "in the way");
  const std::unique_ptr<AuditTrail> trail = scene.Open();
  ASSERT_NE(trail, nullptr);
  const std::string name(kObjectBytesMax, '\xff');  // three fill a batch
  disk.shut = true;
  for (int i = 0; i < 30; ++i) {
    ASSERT_EQ(trail->Write({.subsystem = "test", .object = name}), Taken::kQueued);
  }
  disk.shut = false;
  ASSERT_TRUE(trail->Flush().ok());
  EXPECT_EQ(trail->figures().lines, 32U) << "the first, 30, and that of the second file";
  EXPECT_GT(trail->figures().failures, 1U);
}

// ---- Fork

TEST(AuditForkTest, AChildHasNoWriterAndIsTold) {
  test::TrailScene scene;
  std::unique_ptr<AuditTrail> trail = scene.Open();
  test::WriteObjects(*trail, 0, 2);
  const pid_t child = fork();
  if (child == 0) {
    alarm(120);  // one that waits for ever ends
    const bool told = trail->Write({.object = "the child's"}) == Taken::kRefused &&
                      trail->Flush().category() == Category::kContract;
    trail->Rotate();
    const bool closed = trail->Close().category() == Category::kContract;
    trail.reset();
    _exit(told && closed ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  test::WriteObjects(*trail, 2, 1);
  ASSERT_TRUE(trail->Close().ok());
  EXPECT_EQ(TextOf(scene.Verify()), "");
  EXPECT_EQ(scene.Verify().genuine, 5U);
  EXPECT_EQ(ContentOf(scene.log()).find("the child's"), std::string::npos);
}

}  // namespace
}  // namespace ktlsim::audit
