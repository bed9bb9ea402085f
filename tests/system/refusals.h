// Refusals: which system calls of a program can be refused, a run of the program with some of them
// refused, and what must hold then, whichever they are.
//
// The program ends when it is asked to, and no processor spins. A client that is not served gets a
// status, with a line in the log; otherwise a message names what failed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "tests/system/call_refuser.h"
#include "tests/system/child_process.h"

namespace ktlsim::system_tests {

// A call that is refused, or several that are refused together.
struct RefusableCall {
  const char* name;
  std::vector<int> numbers;
  std::vector<int> errors;
  // The process cannot go on without this call: it may abort, if it says so in these words.
  const char* last_words = nullptr;
  // While the call is refused nothing moves; the process says so and waits.
  const char* complaint = nullptr;
  // Expected instead of the errno value's own words, where the library that made the call hides
  // them.
  const char* other_words = nullptr;
  bool only_once = false;  // if it were refused for good, nothing could be reported at all
  // What a message about this errno value must name: the cause, and with it the remedy.
  std::map<int, const char*> causes = {};
  // The first place at which the call is refused. Before it the C++ runtime sets memory aside for
  // exceptions; without that memory a throw ends the process.
  std::uint64_t first_place = 1;
};

const std::vector<RefusableCall>& RefusableCalls();

struct Fault {
  const RefusableCall* call = nullptr;
  int error_number = 0;
  std::uint64_t place = 0;  // from main on, counted from 1
  bool once = true;

  std::string ToString() const;
};

// What was seen of one run.
struct Story {
  int code = 0;
  bool listened = false;  // or it is no server
  bool stalled = false;
  std::vector<std::string> statuses;  // "200": served
  std::string output;                 // with what it wrote elsewhere
  double cpu_s = 0;
  std::uint64_t refused = 0;
  bool impossible = false;  // the kernel gave no filter
};

// A program and what is done with it until it ends.
class Scene {
 public:
  virtual ~Scene() = default;
  // Called before each run.
  virtual ChildProcess::Arguments Arguments() = 0;
  // Waits for the end and notes everything except the output.
  virtual void Lead(ChildProcess& program, Story* story) = 0;
  // What the program wrote elsewhere, such as a log file.
  virtual std::string WrittenElsewhere() { return {}; }
  // Whether a client that is not served gets a status, if there is memory for one.
  virtual bool SpeaksHttp() const { return true; }
};

// How often each call is made in a run without faults, which must succeed. Empty: the kernel gives
// no filter here, a reason to skip the test.
using CallCounts = std::map<const RefusableCall*, std::uint64_t>;
CallCounts CountCalls(Scene& scene);

// Whether KTLSIM_FAULTS=all is in the environment.
bool AllFaults();
// Every call at each place (a call that is made very often: at some places, spread over the run)
// with each errno value, once and from then on.
std::vector<Fault> EveryFault(const CallCounts& counts);
// One place, drawn, for each call and errno value.
std::vector<Fault> OneOfEach(const CallCounts& counts, std::uint64_t seed);
// A drawn share of those.
std::vector<Fault> Some(const CallCounts& counts, std::uint64_t seed, std::size_t count);

// Plays the scene with each of the faults, and checks what must hold. The seed is KTLSIM_SEED.
void PlayAll(Scene& scene, const std::vector<Fault>& faults);

std::uint64_t SeedOfFaults();

}  // namespace ktlsim::system_tests
