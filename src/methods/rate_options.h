// The options by which users lower the rates of what a method learns beside the images.
#pragma once

namespace retort::methods {

inline constexpr const char* kStudentRateOptions =
    "--student-rate-learning-rate (or --student-learning-rate, where it starts)";
inline constexpr const char* kLabelRateOption = "--label-learning-rate";

}  // namespace retort::methods
