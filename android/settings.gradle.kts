pluginManagement {
    repositories {
        google()
        mavenCentral()
        gradlePluginPortal()
    }
}
dependencyResolutionManagement {
    repositoriesMode.set(RepositoriesMode.FAIL_ON_PROJECT_REPOS)
    repositories {
        google()
        mavenCentral()
    }
}

rootProject.name = "sparse-runtime-android"
// The name is that of the prefab package, as tools/build_aar.py writes it too.
include(":sparse_runtime")
project(":sparse_runtime").projectDir = file("sparse-runtime")
include(":app")
