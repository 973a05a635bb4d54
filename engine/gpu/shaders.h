/* The names of all SPIR-V modules; the list is made by shaders/meson.build. */
#ifndef GPU_SHADERS_H
#define GPU_SHADERS_H

enum gpu_shader {
#define SHADER(name) SHADER_##name,
#include "shader_list.h"
#undef SHADER
    SHADER_COUNT
};

#endif
