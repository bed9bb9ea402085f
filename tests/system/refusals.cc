#include "tests/system/refusals.h"

#include <sys/resource.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <system_error>

#include <gtest/gtest.h>

#include "io/seeded_random.h"
#include "tests/support/seeds.h"

namespace ktlsim::system_tests {
namespace {

// A call that is made more often is tried at this many places, spread over the run.
constexpr std::uint64_t kPlacesMax = 64;

double ChildrenCpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_CHILDREN, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// Calls count from the dynamic linker's end on: it reads the limit on the stack last.
bool IsTheLinkersLast(const SystemCall& call) {
  return call.number == SYS_prlimit64 && call.arguments[1] == RLIMIT_STACK;
}

bool Has(const std::vector<int>& numbers, int number) {
  return std::find(numbers.begin(), numbers.end(), number) != numbers.end();
}

Story Play(Scene& scene, std::vector<int> numbers, const CallRefuser::Judge& judge) {
  Story story;
  if (!Has(numbers, SYS_prlimit64)) numbers.push_back(SYS_prlimit64);
  bool armed = false;  // touched by the refuser's thread only
  CallRefuser refuser(numbers, [&armed, &judge](const SystemCall& call) {
    if (armed) return judge(call);
    armed = IsTheLinkersLast(call);
    return 0;
  });
  ChildProcess::Arguments arguments = refuser.launcher();
  const ChildProcess::Arguments program = scene.Arguments();
  arguments.insert(arguments.end(), program.begin(), program.end());
  const double before = ChildrenCpuSeconds();
  {
    ChildProcess child(arguments);
    scene.Lead(child, &story);
    story.output = child.output() + scene.WrittenElsewhere();
  }
  story.cpu_s = ChildrenCpuSeconds() - before;
  story.refused = refuser.refused();
  story.impossible = refuser.impossible();
  return story;
}

std::vector<std::uint64_t> PlacesOf(const RefusableCall& call, std::uint64_t count) {
  std::vector<std::uint64_t> places;
  const std::uint64_t last = count - call.first_place + 1;
  const std::uint64_t tried = std::min(last, kPlacesMax);
  for (std::uint64_t i = 0; i < tried; ++i) places.push_back(call.first_place + i * last / tried);
  return places;
}

// Whether the program gave the reason, in words for this errno value.
bool Says(const Story& story, const std::string& text) {
  return story.output.find(text) != std::string::npos;
}

bool SaysError(const Story& story, int error_number) {
  return Says(story, std::generic_category().message(error_number));
}

bool IsShortOfMemory(const Fault& fault, const Story& story) {
  // After the C library and OpenSSL it is no longer an errno value; nor is a refused page one.
  const bool about_memory = fault.error_number == ENOMEM || Has(fault.call->numbers, SYS_mmap) ||
                            Has(fault.call->numbers, SYS_mprotect);
  return about_memory && (Says(story, "SEC_E_INSUFFICIENT_MEMORY") || Says(story, "memory"));
}

bool IsTold(const Fault& fault, const Story& story) {
  if (SaysError(story, fault.error_number) || IsShortOfMemory(fault, story)) return true;
  const char* const other = fault.call->other_words;
  return other != nullptr && Says(story, other);
}

void ExpectServedOrTold(const Scene& scene, const Fault& fault, const Story& story) {
  EXPECT_GE(story.code, 0) << story.output;
  EXPECT_TRUE(story.listened || story.code != 0) << story.output;
  const bool told = IsTold(fault, story);
  EXPECT_TRUE(story.code == 0 || told) << story.code << "; " << story.output;
  const auto cause = fault.call->causes.find(fault.error_number);
  if (story.code != 0 && cause != fault.call->causes.end()) {
    EXPECT_TRUE(Says(story, cause->second)) << cause->second << "; " << story.output;
  }
  const bool status_is_due = scene.SpeaksHttp() && !IsShortOfMemory(fault, story);
  for (const std::string& status : story.statuses) {
    if (status == "200") continue;
    EXPECT_TRUE(told) << status << "; " << story.output;
    EXPECT_TRUE(!status_is_due || status[0] == '5') << status << "; " << story.output;
  }
}

void Check(const Scene& scene, const Fault& fault, const Story& story) {
  const RefusableCall& call = *fault.call;
  EXPECT_NE(story.code, -1000) << "it had to be killed: " << story.output;
  // Without mprotect the C library maps memory for every single allocation, each after a refusal
  // that stops the process; that is no loop of ours.
  const bool by_allocation = Has(call.numbers, SYS_mprotect);
  const double refusing_s = by_allocation ? 50e-6 * static_cast<double>(story.refused) : 0;
  EXPECT_LT(story.cpu_s, 4.0 + refusing_s) << story.refused << " refused; " << story.output;
  if (call.last_words != nullptr && story.code == -SIGABRT) {
    EXPECT_TRUE(Says(story, call.last_words) && SaysError(story, fault.error_number))
        << story.output;
    return;
  }
  // It has waited until the test ended it, or as long as it waits by itself.
  if (call.complaint != nullptr && (story.stalled || story.code == -SIGABRT)) {
    EXPECT_TRUE(Says(story, call.complaint) && SaysError(story, fault.error_number))
        << story.output;
    return;
  }
  ExpectServedOrTold(scene, fault, story);
}

}  // namespace

std::string Fault::ToString() const {
  return std::string(call->name) + " " + strerrorname_np(error_number) + " at " +
         std::to_string(place) + (once ? "" : " and on");
}

CallCounts CountCalls(Scene& scene) {
  std::vector<int> numbers;
  for (const RefusableCall& call : RefusableCalls()) {
    for (const int number : call.numbers) {
      if (!Has(numbers, number)) numbers.push_back(number);
    }
  }
  std::map<int, std::uint64_t> made;
  const Story story = Play(scene, numbers, [&made](const SystemCall& call) {
    ++made[call.number];
    return 0;
  });
  CallCounts counts;
  if (story.impossible) return counts;
  EXPECT_EQ(story.code, 0) << story.output;
  for (const std::string& status : story.statuses) EXPECT_EQ(status, "200") << story.output;
  // For one call alone, too, by its name.
  const char* const only = std::getenv("KTLSIM_CALL");
  for (const RefusableCall& call : RefusableCalls()) {
    if (only != nullptr && std::string_view(only) != call.name) continue;
    std::uint64_t count = 0;
    for (const int number : call.numbers) count += made[number];
    if (count >= call.first_place) counts[&call] = count;
  }
  return counts;
}

bool AllFaults() {
  const char* const faults = std::getenv("KTLSIM_FAULTS");
  return faults != nullptr && std::string_view(faults) == "all";
}

std::uint64_t SeedOfFaults() { return test::NumberFromEnvironment("KTLSIM_SEED").value_or(1); }

std::vector<Fault> EveryFault(const CallCounts& counts) {
  std::vector<Fault> faults;
  for (const auto& [call, count] : counts) {
    for (const int error_number : call->errors) {
      for (const std::uint64_t place : PlacesOf(*call, count)) {
        faults.push_back({call, error_number, place, true});
        if (!call->only_once) faults.push_back({call, error_number, place, false});
      }
    }
  }
  return faults;
}

std::vector<Fault> OneOfEach(const CallCounts& counts, std::uint64_t seed) {
  io::SeededRandom random(seed);
  std::vector<Fault> faults;
  for (const auto& [call, count] : counts) {
    for (const int error_number : call->errors) {
      faults.push_back({call, error_number, random.Between(call->first_place, count),
                        call->only_once || random.Chance(500)});
    }
  }
  return faults;
}

std::vector<Fault> Some(const CallCounts& counts, std::uint64_t seed, std::size_t count) {
  io::SeededRandom random(seed + 1'000'000);
  std::vector<Fault> all = OneOfEach(counts, seed);
  while (all.size() > count) {
    all.erase(all.begin() + static_cast<std::ptrdiff_t>(random.Between(0, all.size() - 1)));
  }
  return all;
}

void PlayAll(Scene& scene, const std::vector<Fault>& faults) {
  SCOPED_TRACE("KTLSIM_SEED=" + std::to_string(SeedOfFaults()));
  std::uint64_t refused = 0;
  for (const Fault& fault : faults) {
    SCOPED_TRACE(fault.ToString());
    std::uint64_t occurrence = 0;  // owned by the refuser's thread
    const Story story =
        Play(scene, fault.call->numbers, [&fault, &occurrence](const SystemCall& call) {
          if (!Has(fault.call->numbers, call.number)) return 0;
          ++occurrence;
          const bool now = fault.once ? occurrence == fault.place : occurrence >= fault.place;
          return now ? fault.error_number : 0;
        });
    Check(scene, fault, story);
    refused += story.refused;
  }
  testing::Test::RecordProperty("faults", std::to_string(faults.size()));
  std::printf("%zu faults, %llu calls refused\n", faults.size(),
              static_cast<unsigned long long>(refused));
}

}  // namespace ktlsim::system_tests
