#include "kernel_sim/command/first_authentication.h"

#include <cstdint>

#include <fmt/format.h>

#include "kernel_sim/base/clock.h"
#include "kernel_sim/command/values.h"

namespace ktlsim::command {
namespace {

constexpr std::uint64_t kLimitNs = 10 * kNsPerSecond;  // of one exchange
constexpr unsigned kUnauthorized = 401;
// How many nonces in a row may have had their time when the response to them arrives.
constexpr unsigned kStaleMax = 8;

}  // namespace

std::string FirstAuthentication::Make(std::size_t context, ResultRow* row) {
  const std::uint64_t begin = MonotonicClock::Now();
  OneExchange::Answer answer = exchange_.Ask(request_.head + "\r\n", kLimitNs);
  if (!answer.error.empty()) return answer.error;
  if (answer.challenge.empty()) {
    return fmt::format("--digest: the server asks for no Digest authentication at {} (status {})",
                       request_.target, answer.status);
  }
  unsigned stale = 0;
  do {
    std::string wrong = Respond(context, &answer);
    if (!wrong.empty()) return wrong;
  } while (answer.status == kUnauthorized && IsStale(answer.challenge) && ++stale < kStaleMax);
  if (answer.status == kUnauthorized) {
    return fmt::format("--digest: the server refuses {}: its name, or the password",
                       Printable(request_.user));
  }
  ++row->operations;
  row->latency.Record(MonotonicClock::Now() - begin);
  const std::size_t kind = answer.status / 100 < kStatusClasses ? answer.status / 100 : 0;
  ++row->statuses[kind];
  return {};
}

std::string FirstAuthentication::Respond(std::size_t context, OneExchange::Answer* answer) {
  std::string header;
  std::string wrong = login_.Authenticate(context, answer->challenge, request_.target, &header);
  if (!wrong.empty()) return "--digest: " + wrong;
  *answer =
      exchange_.Ask(request_.head + fmt::format("Authorization: {}\r\n\r\n", header), kLimitNs);
  if (!answer->error.empty() || !ServerProofs::Proves(answer->authentication_info)) {
    return answer->error;
  }
  wrong = login_.CheckServer(context, request_.target, header, answer->authentication_info);
  return wrong.empty() ? wrong : "--digest: " + wrong;
}

}  // namespace ktlsim::command
