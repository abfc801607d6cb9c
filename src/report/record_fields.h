// Fields of records, whatever their type, and how figures are written. No torch here.
#pragma once

#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace retort::report {

using Json = nlohmann::json;
inline constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

/// NaN, an empty text, no texts, `otherwise` where the field is absent or of another type.
double number(const Json& record, const char* key);
std::string text(const Json& record, const char* key);
std::vector<std::string> texts(const Json& record, const char* key);
bool flag(const Json& record, const char* key, bool otherwise);

/// "3 students", "1,000 images".
std::string count(double value, const std::string& noun);
/// "47.1 ± 0.4" with spaces that do not break, in percent from fractions; without deviation where
/// it is unknown.
std::string percent(double mean, double deviation);
/// A whole number with commas, a time, a size; nothing where it is not known.
std::string whole(double value);
std::string duration(double seconds);
std::string size_text(double bytes);
/// "+16.1" of a difference of fractions.
std::string points(double difference);

}  // namespace retort::report
