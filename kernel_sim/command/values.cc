#include "kernel_sim/command/values.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <system_error>

#include "kernel_sim/base/clock.h"
#include "kernel_sim/command/durations.h"

namespace ktlsim::command {
namespace {

constexpr std::size_t kShownMax = 80;

// The factor that `suffix` stands for; empty for one that is unknown.
std::optional<std::uint64_t> FactorOf(std::string_view suffix, std::uint64_t kilo) {
  if (suffix.empty()) return 1;
  if (suffix == "k" || suffix == "K") return kilo;
  if (suffix == "M") return kilo * kilo;
  if (suffix == "G") return kilo * kilo * kilo;
  return {};
}

std::string ParseWhole(std::string_view text, std::uint64_t kilo, std::uint64_t min,
                       std::uint64_t max, const char* wanted, std::uint64_t* value) {
  std::uint64_t number = 0;
  // A negative number is a number, below every range.
  const bool negative = text.size() > 1 && text.front() == '-';
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data() + (negative ? 1 : 0), end, number);
  const auto factor = FactorOf(std::string_view(rest, static_cast<std::size_t>(end - rest)), kilo);
  if (error == std::errc::invalid_argument || !factor) {
    return fmt::format("\"{}\" is not {}", Printable(text), wanted);
  }
  const bool outside = negative || error == std::errc::result_out_of_range ||
                       number > std::numeric_limits<std::uint64_t>::max() / *factor;
  if (outside || number * *factor < min || number * *factor > max) {
    return fmt::format("{} is out of range: from {} to {}", Printable(text), min, max);
  }
  *value = number * *factor;
  return {};
}

// A bound as people write it: "100ms", "1h".
std::string BoundText(std::uint64_t ns) {
  struct Unit {
    const char* name;
    std::uint64_t ns;
  };
  constexpr std::array kUnits = {Unit{"h", 3600 * kNsPerSecond}, Unit{"m", 60 * kNsPerSecond},
                                 Unit{"s", kNsPerSecond}, Unit{"ms", kNsPerMs}};
  for (const Unit& unit : kUnits) {
    if (ns != 0 && ns % unit.ns == 0) return fmt::format("{}{}", ns / unit.ns, unit.name);
  }
  return ns == 0 ? "0" : fmt::format("{}ns", ns);
}

}  // namespace

std::string Printable(std::string_view text) {
  std::string shown;
  for (const char c : text.substr(0, kShownMax)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      shown += fmt::format("\\x{:02x}", byte);
    } else {
      shown += c;
    }
  }
  return text.size() > kShownMax ? shown + "..." : shown;
}

std::string ParseCount(std::string_view text, std::uint64_t min, std::uint64_t max,
                       std::uint64_t* count) {
  return ParseWhole(text, 1000, min, max, "a whole number: write one like 64 or 10k", count);
}

std::string ParseSize(std::string_view text, std::uint64_t min, std::uint64_t max,
                      std::uint64_t* bytes) {
  return ParseWhole(text, 1024, min, max, "a number of bytes: write one like 512, 16k or 1M",
                    bytes);
}

std::string ParseRate(std::string_view text, double min, double max, double* per_second) {
  std::string_view number_text = text;
  if (number_text.ends_with("/s")) number_text.remove_suffix(2);
  double number = 0;
  const char* const end = number_text.data() + number_text.size();
  const auto [rest, error] =
      std::from_chars(number_text.data(), end, number, std::chars_format::fixed);
  const auto factor = FactorOf(std::string_view(rest, static_cast<std::size_t>(end - rest)), 1000);
  if (error == std::errc::invalid_argument || !factor || !std::isfinite(number)) {
    return fmt::format("\"{}\" is not a rate: write operations per second, like 500 or 10k",
                       Printable(text));
  }
  const double value = number * static_cast<double>(*factor);
  if (error != std::errc() || value < min || value > max) {
    return fmt::format("{} is out of range: from {} to {} per second", Printable(text), min, max);
  }
  *per_second = value;
  return {};
}

std::string ParseDuration(std::string_view text, std::uint64_t min_ns, std::uint64_t max_ns,
                          BareNumber bare, std::uint64_t* ns) {
  std::optional<std::uint64_t> parsed = ParseDurationNs(text);
  if (!parsed && bare == BareNumber::kSeconds) parsed = ParseDurationNs(std::string(text) + "s");
  if (!parsed) {
    return fmt::format("\"{}\" is not a duration up to 100h: write one like 500ms or 10s{}",
                       Printable(text), min_ns == 0 ? ", or 0 for none" : "");
  }
  if (*parsed < min_ns || *parsed > max_ns) {
    return fmt::format("{} is out of range: from {} to {}", Printable(text), BoundText(min_ns),
                       BoundText(max_ns));
  }
  *ns = *parsed;
  return {};
}

std::string ParseAlpn(std::string_view text, std::vector<std::string>* alpn) {
  std::vector<std::string> names;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t comma = std::min(text.find(',', begin), text.size());
    const std::string_view name = text.substr(begin, comma - begin);
    if (name.empty() || name.size() > 255) {
      return fmt::format("\"{}\": a protocol's name has 1 to 255 bytes, for example http/1.1",
                         Printable(text));
    }
    names.emplace_back(name);
    begin = comma + 1;
  }
  alpn->insert(alpn->end(), names.begin(), names.end());
  return {};
}

std::string CheckHttpAlpn(std::span<const std::string> alpn, std::string_view who) {
  for (const std::string& name : alpn) {
    if (name == "http/1.1" || name == "http/1.0") continue;
    return fmt::format(
        "alpn: {} speaks http/1.1 and http/1.0, and not \"{}\": a peer that agrees on it would "
        "wait "
        "for another protocol",
        who, Printable(name));
  }
  return {};
}

std::string CheckOneLine(std::string_view text) {
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      return fmt::format("\"{}\" has a control character: it would break the line it stands in",
                         Printable(text));
    }
  }
  return {};
}

}  // namespace ktlsim::command
