"""Google's Gemini dialect: generateContent, its stream, errors, usage and models list."""
