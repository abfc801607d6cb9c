// Methods that need a teacher and no training within distillation: images are recovered from its
// statistics (SRe2L, CDA, SC-DD), put together from real patches that it knows (RDED), or drawn
// towards real images that it knows (CIM).
#pragma once

#include <memory>

#include "retort/methods/method.h"

namespace retort::methods {

/// SRe2L (Yin, Xing and Shen, NeurIPS 2023).
std::unique_ptr<Method> make_sre2l();
/// CDA (Yin and Shen, TMLR 2024): crops that begin with the whole image and shrink.
std::unique_ptr<Method> make_cda();
/// SC-DD (Zhou et al., 2024): the same as SRe2L from a self-supervised teacher.
std::unique_ptr<Method> make_scdd();
/// RDED (Sun et al., CVPR 2024): mosaics of real patches.
std::unique_ptr<Method> make_rded();
/// CIM (ECCV 2026): small images that look like real ones to a teacher.
std::unique_ptr<Method> make_cim();

}  // namespace retort::methods
