// Lessons of students that are no Network of ours.
#pragma once

#include <string>

#include "eval/judge.h"
#include "retort/eval/learner.h"

namespace retort::eval {

/// The lesson of a student of this name on a subject, but for `done`. It sees the batches,
/// augmented by the draws, that our student of the same number sees. The judge must outlive it.
Lesson lesson_of(const Judge& judge, const Subject& subject, const std::string& network,
                 int64_t student);

}  // namespace retort::eval
