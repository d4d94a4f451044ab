"""NEWS OF OUR MAIL: bounces and complaints that come back as mail, recognised, read and classified."""
