-- The schema and rows that django-lock-tokens 0.2.5 under Django 2.1 leaves in MariaDB.
-- {live} and {expired} (lock_tokens_locktoken.locked_at) are filled in by the test.

CREATE TABLE `auth_group` (
  `id` int(11) NOT NULL AUTO_INCREMENT,
  `name` varchar(80) NOT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `name` (`name`)
) ENGINE=InnoDB;
CREATE TABLE `auth_user` (
  `id` int(11) NOT NULL AUTO_INCREMENT,
  `password` varchar(128) NOT NULL,
  `last_login` datetime(6) DEFAULT NULL,
  `is_superuser` tinyint(1) NOT NULL,
  `username` varchar(150) NOT NULL,
  `first_name` varchar(30) NOT NULL,
  `last_name` varchar(150) NOT NULL,
  `email` varchar(254) NOT NULL,
  `is_staff` tinyint(1) NOT NULL,
  `is_active` tinyint(1) NOT NULL,
  `date_joined` datetime(6) NOT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `username` (`username`)
) ENGINE=InnoDB AUTO_INCREMENT=3;
INSERT INTO `auth_user` (`id`, `password`, `last_login`, `is_superuser`, `username`, `first_name`, `last_name`, `email`, `is_staff`, `is_active`, `date_joined`) VALUES (1,'!AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',NULL,0,'alice','','','alice@example.com',0,1,'2019-03-01 08:00:00.000000');
INSERT INTO `auth_user` (`id`, `password`, `last_login`, `is_superuser`, `username`, `first_name`, `last_name`, `email`, `is_staff`, `is_active`, `date_joined`) VALUES (2,'!BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB',NULL,0,'bob','','','bob@example.com',0,1,'2019-03-01 08:30:00.000000');
CREATE TABLE `auth_user_groups` (
  `id` int(11) NOT NULL AUTO_INCREMENT,
  `user_id` int(11) NOT NULL,
  `group_id` int(11) NOT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `auth_user_groups_user_id_group_id_94350c0c_uniq` (`user_id`,`group_id`),
  KEY `auth_user_groups_group_id_97559544_fk_auth_group_id` (`group_id`),
  CONSTRAINT `auth_user_groups_group_id_97559544_fk_auth_group_id` FOREIGN KEY (`group_id`) REFERENCES `auth_group` (`id`),
  CONSTRAINT `auth_user_groups_user_id_6a12ed8b_fk_auth_user_id` FOREIGN KEY (`user_id`) REFERENCES `auth_user` (`id`)
) ENGINE=InnoDB;
CREATE TABLE `django_content_type` (
  `id` int(11) NOT NULL AUTO_INCREMENT,
  `app_label` varchar(100) NOT NULL,
  `model` varchar(100) NOT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `django_content_type_app_label_model_76bd3d3b_uniq` (`app_label`,`model`)
) ENGINE=InnoDB AUTO_INCREMENT=7;
INSERT INTO `django_content_type` (`id`, `app_label`, `model`) VALUES (1,'contenttypes','contenttype');
INSERT INTO `django_content_type` (`id`, `app_label`, `model`) VALUES (2,'auth','permission');
INSERT INTO `django_content_type` (`id`, `app_label`, `model`) VALUES (3,'auth','group');
INSERT INTO `django_content_type` (`id`, `app_label`, `model`) VALUES (4,'auth','user');
INSERT INTO `django_content_type` (`id`, `app_label`, `model`) VALUES (5,'sessions','session');
INSERT INTO `django_content_type` (`id`, `app_label`, `model`) VALUES (6,'lock_tokens','locktoken');
CREATE TABLE `auth_permission` (
  `id` int(11) NOT NULL AUTO_INCREMENT,
  `name` varchar(255) NOT NULL,
  `content_type_id` int(11) NOT NULL,
  `codename` varchar(100) NOT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `auth_permission_content_type_id_codename_01ab375a_uniq` (`content_type_id`,`codename`),
  CONSTRAINT `auth_permission_content_type_id_2f476e4b_fk_django_co` FOREIGN KEY (`content_type_id`) REFERENCES `django_content_type` (`id`)
) ENGINE=InnoDB AUTO_INCREMENT=25;
CREATE TABLE `auth_group_permissions` (
  `id` int(11) NOT NULL AUTO_INCREMENT,
  `group_id` int(11) NOT NULL,
  `permission_id` int(11) NOT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `auth_group_permissions_group_id_permission_id_0cd325b0_uniq` (`group_id`,`permission_id`),
  KEY `auth_group_permissio_permission_id_84c5c92e_fk_auth_perm` (`permission_id`),
  CONSTRAINT `auth_group_permissio_permission_id_84c5c92e_fk_auth_perm` FOREIGN KEY (`permission_id`) REFERENCES `auth_permission` (`id`),
  CONSTRAINT `auth_group_permissions_group_id_b120cbf9_fk_auth_group_id` FOREIGN KEY (`group_id`) REFERENCES `auth_group` (`id`)
) ENGINE=InnoDB;
CREATE TABLE `auth_user_user_permissions` (
  `id` int(11) NOT NULL AUTO_INCREMENT,
  `user_id` int(11) NOT NULL,
  `permission_id` int(11) NOT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `auth_user_user_permissions_user_id_permission_id_14a6b632_uniq` (`user_id`,`permission_id`),
  KEY `auth_user_user_permi_permission_id_1fbb5f2c_fk_auth_perm` (`permission_id`),
  CONSTRAINT `auth_user_user_permi_permission_id_1fbb5f2c_fk_auth_perm` FOREIGN KEY (`permission_id`) REFERENCES `auth_permission` (`id`),
  CONSTRAINT `auth_user_user_permissions_user_id_a95ead1b_fk_auth_user_id` FOREIGN KEY (`user_id`) REFERENCES `auth_user` (`id`)
) ENGINE=InnoDB;
CREATE TABLE `django_migrations` (
  `id` int(11) NOT NULL AUTO_INCREMENT,
  `app` varchar(255) NOT NULL,
  `name` varchar(255) NOT NULL,
  `applied` datetime(6) NOT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB AUTO_INCREMENT=15;
INSERT INTO `django_migrations` (`id`, `app`, `name`, `applied`) VALUES (1,'contenttypes','0001_initial','2019-03-01 07:00:00.000000');
INSERT INTO `django_migrations` (`id`, `app`, `name`, `applied`) VALUES (2,'contenttypes','0002_remove_content_type_name','2019-03-01 07:00:00.000000');
INSERT INTO `django_migrations` (`id`, `app`, `name`, `applied`) VALUES (3,'auth','0001_initial','2019-03-01 07:00:00.000000');
INSERT INTO `django_migrations` (`id`, `app`, `name`, `applied`) VALUES (4,'auth','0002_alter_permission_name_max_length','2019-03-01 07:00:00.000000');
INSERT INTO `django_migrations` (`id`, `app`, `name`, `applied`) VALUES (5,'auth','0003_alter_user_email_max_length','2019-03-01 07:00:00.000000');
INSERT INTO `django_migrations` (`id`, `app`, `name`, `applied`) VALUES (6,'auth','0004_alter_user_username_opts','2019-03-01 07:00:00.000000');
INSERT INTO `django_migrations` (`id`, `app`, `name`, `applied`) VALUES (7,'auth','0005_alter_user_last_login_null','2019-03-01 07:00:00.000000');
INSERT INTO `django_migrations` (`id`, `app`, `name`, `applied`) VALUES (8,'auth','0006_require_contenttypes_0002','2019-03-01 07:00:00.000000');
INSERT INTO `django_migrations` (`id`, `app`, `name`, `applied`) VALUES (9,'auth','0007_alter_validators_add_error_messages','2019-03-01 07:00:00.000000');
INSERT INTO `django_migrations` (`id`, `app`, `name`, `applied`) VALUES (10,'auth','0008_alter_user_username_max_length','2019-03-01 07:00:00.000000');
INSERT INTO `django_migrations` (`id`, `app`, `name`, `applied`) VALUES (11,'auth','0009_alter_user_last_name_max_length','2019-03-01 07:00:00.000000');
INSERT INTO `django_migrations` (`id`, `app`, `name`, `applied`) VALUES (12,'lock_tokens','0001_initial','2019-03-01 07:00:00.000000');
INSERT INTO `django_migrations` (`id`, `app`, `name`, `applied`) VALUES (13,'lock_tokens','0002_locktoken_created','2019-03-01 07:00:00.000000');
INSERT INTO `django_migrations` (`id`, `app`, `name`, `applied`) VALUES (14,'sessions','0001_initial','2019-03-01 07:00:00.000000');
CREATE TABLE `django_session` (
  `session_key` varchar(40) NOT NULL,
  `session_data` longtext NOT NULL,
  `expire_date` datetime(6) NOT NULL,
  PRIMARY KEY (`session_key`),
  KEY `django_session_expire_date_a5c62663` (`expire_date`)
) ENGINE=InnoDB;
CREATE TABLE `lock_tokens_locktoken` (
  `id` int(11) NOT NULL AUTO_INCREMENT,
  `token_str` varchar(32) NOT NULL,
  `locked_object_id` int(10) unsigned NOT NULL,
  `locked_at` datetime(6) NOT NULL,
  `locked_object_content_type_id` int(11) NOT NULL,
  `created` datetime(6) NOT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `token_str` (`token_str`),
  UNIQUE KEY `lock_tokens_locktoken_locked_object_content_ty_3070cd62_uniq` (`locked_object_content_type_id`,`locked_object_id`),
  CONSTRAINT `lock_tokens_locktoke_locked_object_conten_1981de77_fk_django_co` FOREIGN KEY (`locked_object_content_type_id`) REFERENCES `django_content_type` (`id`)
) ENGINE=InnoDB AUTO_INCREMENT=3;
INSERT INTO `lock_tokens_locktoken` (`id`, `token_str`, `locked_object_id`, `locked_at`, `locked_object_content_type_id`, `created`) VALUES (1,'11111111111111111111111111111111',1,'{live}',4,'2019-03-01 09:00:00.123456');
INSERT INTO `lock_tokens_locktoken` (`id`, `token_str`, `locked_object_id`, `locked_at`, `locked_object_content_type_id`, `created`) VALUES (2,'22222222222222222222222222222222',2,'{expired}',4,'2019-03-01 09:05:00.654321');
