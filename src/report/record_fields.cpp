#include "report/record_fields.h"

#include <fmt/format.h>

#include <cmath>

#include "retort/core/progress.h"

namespace retort::report {

double number(const Json& record, const char* key) {
  const auto field = record.find(key);
  return field != record.end() && field->is_number() ? field->get<double>() : kNan;
}

std::string text(const Json& record, const char* key) {
  const auto field = record.find(key);
  if (field == record.end() || field->is_null()) return {};
  return field->is_string() ? field->get<std::string>() : field->dump();
}

std::vector<std::string> texts(const Json& record, const char* key) {
  std::vector<std::string> result;
  const auto field = record.find(key);
  if (field == record.end() || !field->is_array()) return result;
  for (const Json& item : *field)
    result.push_back(item.is_string() ? item.get<std::string>() : item.dump());
  return result;
}

bool flag(const Json& record, const char* key, bool otherwise) {
  const auto field = record.find(key);
  return field != record.end() && field->is_boolean() ? field->get<bool>() : otherwise;
}

std::string count(double value, const std::string& noun) {
  return whole(value) + " " + noun + (value == 1 ? "" : "s");
}

std::string percent(double mean, double deviation) {
  if (!std::isfinite(mean)) return "not finite";
  if (!std::isfinite(deviation)) return fmt::format("{:.1f}", 100 * mean);
  return fmt::format("{:.1f}\u00a0±\u00a0{:.1f}", 100 * mean, 100 * deviation);
}

std::string whole(double value) {
  if (!std::isfinite(value)) return {};
  std::string digits = fmt::format("{:.0f}", value);
  const size_t sign = digits.starts_with("-") ? 1 : 0;
  for (size_t at = digits.size(); at > sign + 3;) {
    at -= 3;
    digits.insert(at, 1, ',');
  }
  return digits;
}
std::string duration(double seconds) {
  return std::isfinite(seconds) ? format_duration(seconds) : "";
}

std::string points(double difference) {
  return fmt::format("{:+.1f}", 100 * difference);
}

std::string size_text(double bytes) {
  return std::isfinite(bytes) ? format_bytes(bytes) : "";
}

}  // namespace retort::report
